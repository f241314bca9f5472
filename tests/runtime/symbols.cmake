# The runtime's object offers lathe_rt_* alone and needs nothing but these functions of libc; nothing in it is writable.
cmake_minimum_required(VERSION 3.20)
set(allowed _GLOBAL_OFFSET_TABLE_ calloc clock_getres clock_gettime close free getauxval getenv getpid madvise malloc memchr memcmp memcpy memset nanosleep
    open posix_memalign pthread_attr_destroy pthread_attr_init pthread_attr_setstacksize pthread_create pthread_join
    pthread_sigmask read sched_getcpu sched_yield sigfillset strchr strcmp strlen syscall)
if(OBJECT MATCHES "cuda") # models for GPUs find their driver
  list(APPEND allowed dlopen dlsym)
endif()
execute_process(COMMAND ${NM} ${OBJECT} OUTPUT_VARIABLE listing RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${NM} failed")
endif()
string(REPLACE "\n" ";" lines "${listing}")
foreach(line ${lines})
  if(line MATCHES "^ *U ([^ ]+)$")
    if(NOT CMAKE_MATCH_1 IN_LIST allowed)
      message(SEND_ERROR "the runtime needs ${CMAKE_MATCH_1}")
    endif()
  elseif(line MATCHES " [A-Z] (lathe_host_[A-Za-z_]+)$" AND OBJECT MATCHES "/script-")
    continue() # functions of host steps, by the names that tables have
  elseif(line MATCHES " [A-Z] ([^ ]+)$")
    set(offered ${CMAKE_MATCH_1})
    # __aeabi_: what LLVM itself calls on 32-bit ARM.
    if(NOT offered MATCHES "^(lathe_rt_|__aeabi_)")
      message(SEND_ERROR "the runtime offers ${offered}")
    endif()
  endif()
endforeach()

execute_process(COMMAND ${NM} --format=sysv ${OBJECT} OUTPUT_VARIABLE listing)
if(listing MATCHES "([^\n |]+) *\\|[^\n]*\\|(\\.data|\\.bss|\\*COM\\*)\n")
  message(SEND_ERROR "the runtime has writable data: ${CMAKE_MATCH_1}")
endif()
