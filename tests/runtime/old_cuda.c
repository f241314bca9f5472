/* A driver from before the functions that models call: it starts, and that is all. */
__attribute__((visibility("default"))) int cuInit(unsigned flags);

int cuInit(unsigned flags)
{
    return (int)flags;
}
