/* Ways out of the program other than the end of main: signals from outside, and crashes of our own. */
#ifndef LATHE_TOOLS_LEAVE_H
#define LATHE_TOOLS_LEAVE_H

/* From now on SIGINT, SIGTERM, SIGHUP and SIGPIPE end the processes that this one has started, remove the temporary
 * files and leave with 128 + the signal's number; a crash prints one line that names pass and node and leaves with
 * EXIT_INTERNAL; exit() removes temporary files too. Call once, from the main thread, which alone may start processes.
 */
void leave_cleanly(void);

#endif
