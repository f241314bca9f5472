# The runtime three times: a library for tests, one relocatable object that the compiler links into models, and that object as data.

file(GLOB runtime_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/runtime/*.c)
file(GLOB runtime_headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/runtime/*.h)

find_package(Threads REQUIRED)
add_library(lathe_runtime STATIC ${runtime_sources})
target_include_directories(lathe_runtime PUBLIC ${CMAKE_SOURCE_DIR})
target_link_libraries(lathe_runtime PUBLIC Threads::Threads)

# The object is always built the same way, whatever this build is for: no sanitizers, no debug information, baseline x86-64.
set(runtime_object ${CMAKE_BINARY_DIR}/runtime/runtime-x86-64.o)
add_custom_command(
  OUTPUT ${runtime_object}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/runtime
  COMMAND ${CMAKE_C_COMPILER} -std=gnu11 -O2 -g0 -march=x86-64 -mtune=generic -ffreestanding -fPIC -fvisibility=hidden
          -fno-stack-protector -U_FORTIFY_SOURCE -fcf-protection=none -fno-lto -Wall -Wextra -I${CMAKE_SOURCE_DIR}
          -r -nostdlib ${runtime_sources} -o ${runtime_object}.all
  # Two models in one program: what is not part of the interface must not meet.
  COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=lathe_rt_* ${runtime_object}.all ${runtime_object}
  DEPENDS ${runtime_sources} ${runtime_headers}
  VERBATIM)

set(runtime_embed ${CMAKE_BINARY_DIR}/runtime/embed.c)
file(CONFIGURE OUTPUT ${runtime_embed} @ONLY CONTENT [[
/* Files as data, by the assembler: no compiler has to read them. */
#define FILE_AS_DATA(name, path, tail)                                                                          \
    __asm__(".section .rodata\n.balign 16\n.globl " #name "\n" #name ":\n.incbin \"" path "\"\n" #name "_end:\n" tail \
            ".balign 8\n.globl " #name "_size\n" #name "_size: .quad " #name "_end - " #name "\n.text\n")

FILE_AS_DATA(lathe_runtime_object, "@runtime_object@", "");
FILE_AS_DATA(lathe_model_header, "@CMAKE_SOURCE_DIR@/runtime/lathe_model.h", ".byte 0\n");
]])
set_source_files_properties(${runtime_embed} PROPERTIES OBJECT_DEPENDS
  "${runtime_object};${CMAKE_SOURCE_DIR}/runtime/lathe_model.h")
add_library(lathe_runtime_embed STATIC ${runtime_embed})
target_include_directories(lathe_runtime_embed PUBLIC ${CMAKE_SOURCE_DIR})

if(LATHE_TESTS)
  set(runtime_stress ${CMAKE_SOURCE_DIR}/tests/runtime/stress.c)
  add_executable(runtime_stress ${runtime_stress})
  target_link_libraries(runtime_stress PRIVATE lathe_runtime)
  add_test(NAME runtime/stress COMMAND runtime_stress)

  # Criterion does not start under ThreadSanitizer: a plain program and the runtime built once more.
  include(CheckCSourceRuns)
  set(CMAKE_REQUIRED_FLAGS -fsanitize=thread)
  set(CMAKE_REQUIRED_LINK_OPTIONS -fsanitize=thread)
  check_c_source_runs("int main(void) { return 0; }" LATHE_HAVE_TSAN)
  unset(CMAKE_REQUIRED_FLAGS)
  unset(CMAKE_REQUIRED_LINK_OPTIONS)
  if(LATHE_HAVE_TSAN AND NOT LATHE_SANITIZE)
    add_executable(runtime_stress_tsan ${runtime_stress} ${runtime_sources})
    target_include_directories(runtime_stress_tsan PRIVATE ${CMAKE_SOURCE_DIR})
    target_compile_options(runtime_stress_tsan PRIVATE -fsanitize=thread -g)
    target_link_options(runtime_stress_tsan PRIVATE -fsanitize=thread)
    target_link_libraries(runtime_stress_tsan PRIVATE Threads::Threads)
    add_test(NAME runtime/stress_tsan COMMAND runtime_stress_tsan)
  endif()

  add_test(NAME runtime/object_symbols COMMAND ${CMAKE_COMMAND} -DNM=${CMAKE_NM} -DOBJECT=${runtime_object}
           -P ${CMAKE_SOURCE_DIR}/tests/runtime/symbols.cmake)
  # runtime_object is made with lathe_runtime_embed, which is part of the default build.

  # The public header, by every compiler that would meet it.
  foreach(language "c;-std=c99" "c++;-std=c++11")
    list(GET language 0 name)
    execute_process(COMMAND ${CMAKE_C_COMPILER} -x ${name} -fsyntax-only /dev/null RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
    foreach(dlpack "-DWITHOUT_DLPACK" "-DWITH_DLPACK")
      if(result EQUAL 0)
        add_test(NAME runtime/header_${name}${dlpack} COMMAND ${CMAKE_C_COMPILER} -x ${language} -Wall -Wextra -Wpedantic -Werror
                 ${dlpack} -fsyntax-only ${CMAKE_SOURCE_DIR}/tests/runtime/header.c)
      endif()
    endforeach()
  endforeach()

  # Two model libraries, each with a runtime of its own, as the compiler links them; made for the test that loads both.
  foreach(name a b)
    add_library(runtime_library_${name} MODULE ${CMAKE_SOURCE_DIR}/tests/runtime/library.c ${runtime_object})
    set_source_files_properties(${runtime_object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
    add_dependencies(runtime_library_${name} lathe_runtime_embed)
    target_include_directories(runtime_library_${name} PRIVATE ${CMAKE_SOURCE_DIR})
    set_target_properties(runtime_library_${name} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/runtime)
  endforeach()

  # Not a test: prints the cost of a launch.
  add_executable(runtime_overhead ${CMAKE_SOURCE_DIR}/tests/runtime/overhead.c)
  target_link_libraries(runtime_overhead PRIVATE lathe_runtime)
endif()
