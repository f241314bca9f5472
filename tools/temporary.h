/* Temporary files and folders: none stays behind, whichever way the program ends.
 *
 * Each is registered in the moment it is made (signals wait meanwhile). What is registered is removed at exit and by
 * signal handlers; a process that was forked afterwards removes nothing. At most TEMPORARIES_MOST at a time; one more
 * is a BUG. */
#ifndef LATHE_TOOLS_TEMPORARY_H
#define LATHE_TOOLS_TEMPORARY_H

#include <stdbool.h>

enum { TEMPORARIES_MOST = 32 };

/* mkdtemp: `path` ends in XXXXXX. False with errno. */
bool temporary_folder_make(char *path);
/* mkostemps with close-on-exec: a descriptor, or -1 with errno. */
int temporary_file_make(char *path, int suffix_length);
/* The file was renamed or removed: it is nobody's concern any more. */
void temporary_forget(const char *path);
/* Removes a folder and what is in it, three levels deep. */
void temporary_folder_remove(const char *path);
/* Removes everything that is registered; safe in signal handlers. */
void temporaries_remove(void);

#endif
