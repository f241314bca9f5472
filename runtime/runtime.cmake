# The runtime twice: a library for tests, and for each family of targets LLVM bitcode that the compiler carries as data and makes
# into an object for the model at hand.

file(GLOB runtime_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/runtime/*.c)
file(GLOB runtime_headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/runtime/*.h ${CMAKE_SOURCE_DIR}/runtime/*.inc ${CMAKE_SOURCE_DIR}/runtime/*.def)
# name_<family>.c is for that family alone.
set(runtime_common ${runtime_sources})
list(FILTER runtime_common EXCLUDE REGEX "_(x86|aarch64|armv7|cuda)\\.c$")
# A model whose course depends on data has these too.
set(runtime_script ${runtime_sources})
list(FILTER runtime_script INCLUDE REGEX "/(script|script_[a-z]+|host_[a-z]+|value|heap)\\.c$")
list(REMOVE_ITEM runtime_common ${runtime_script})
foreach(family x86 aarch64 armv7)
  set(runtime_${family} ${runtime_sources})
  list(FILTER runtime_${family} INCLUDE REGEX "_${family}\\.c$")
  list(APPEND runtime_${family} ${runtime_common})
endforeach()
# A model for a GPU has the host's runtime and these.
set(runtime_cuda ${runtime_sources})
list(FILTER runtime_cuda INCLUDE REGEX "_cuda\\.c$")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(runtime_host aarch64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^arm")
  set(runtime_host armv7)
else()
  set(runtime_host x86)
endif()

find_package(Threads REQUIRED)
add_library(lathe_runtime STATIC ${runtime_${runtime_host}} ${runtime_script} ${runtime_cuda})
target_include_directories(lathe_runtime PUBLIC ${CMAKE_SOURCE_DIR})
target_link_libraries(lathe_runtime PUBLIC Threads::Threads)

# lathe_bitcode(<name> TRIPLE <triple> SOURCES <file>... [OPTIONS <option>...] [KEEP <pattern>...]): one bitcode file, embedded under
# that name (TargetFamily.runtime). Always built the same way, whatever this build is for: no sanitizers, no debug information,
# no headers but the compiler's own. The code says itself for which CPU it is; what is not kept cannot meet another model's.
set(runtime_embedded)
set(runtime_embedded_files)
function(lathe_bitcode family)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "TRIPLE" "SOURCES;OPTIONS;KEEP")
  set(folder ${CMAKE_BINARY_DIR}/runtime/${family})
  set(made ${CMAKE_BINARY_DIR}/runtime/${family}.bc)
  set(pieces)
  foreach(source ${ARG_SOURCES})
    get_filename_component(name ${source} NAME_WE)
    list(APPEND pieces ${folder}/${name}.bc)
  endforeach()
  list(TRANSFORM ARG_KEEP PREPEND "--internalize-public-api-list=" OUTPUT_VARIABLE keep)
  file(MAKE_DIRECTORY ${folder})
  add_custom_command(
    OUTPUT ${made}
    COMMAND ${LATHE_CLANG} --target=${ARG_TRIPLE} -std=gnu11 -O2 -g0 -ffreestanding -nostdlibinc -fvisibility=hidden
            -fno-stack-protector -fno-ident -Wall -Wextra -I${CMAKE_SOURCE_DIR} ${ARG_OPTIONS} -emit-llvm -c ${ARG_SOURCES}
    COMMAND ${LATHE_LLVM_LINK} ${pieces} -o ${folder}/all.bc
    COMMAND ${LATHE_OPT} --passes=internalize,globaldce ${keep} ${folder}/all.bc -o ${made}
    DEPENDS ${ARG_SOURCES} ${runtime_headers}
    WORKING_DIRECTORY ${folder}
    COMMENT "Runtime for ${family}"
    VERBATIM)
  set(runtime_embedded ${runtime_embedded} ${family} PARENT_SCOPE)
  set(runtime_embedded_files ${runtime_embedded_files} ${made} PARENT_SCOPE)
  set(runtime_triple_${family} ${ARG_TRIPLE} PARENT_SCOPE)
endfunction()

lathe_bitcode(x86-64 TRIPLE x86_64-unknown-linux-gnu SOURCES ${runtime_x86} KEEP lathe_rt_*
  OPTIONS -march=x86-64 -mtune=generic -fPIC -fcf-protection=none)
lathe_bitcode(cuda-x86-64 TRIPLE x86_64-unknown-linux-gnu SOURCES ${runtime_x86} ${runtime_cuda} KEEP lathe_rt_*
  OPTIONS -march=x86-64 -mtune=generic -fPIC -fcf-protection=none)
lathe_bitcode(aarch64 TRIPLE aarch64-unknown-linux-gnu SOURCES ${runtime_aarch64} KEEP lathe_rt_*
  OPTIONS -march=armv8-a -mno-outline-atomics -fPIC)
lathe_bitcode(cuda-aarch64 TRIPLE aarch64-unknown-linux-gnu SOURCES ${runtime_aarch64} ${runtime_cuda} KEEP lathe_rt_*
  OPTIONS -march=armv8-a -mno-outline-atomics -fPIC)
lathe_bitcode(armv7 TRIPLE armv7-unknown-linux-gnueabihf SOURCES ${runtime_armv7} KEEP lathe_rt_* __aeabi_*
  OPTIONS -march=armv7-a -mfpu=vfpv4-d16 -mfloat-abi=hard -fPIC)
lathe_bitcode(script-x86-64 TRIPLE x86_64-unknown-linux-gnu SOURCES ${runtime_x86} ${runtime_script} KEEP lathe_rt_* lathe_host_*
  OPTIONS -march=x86-64 -mtune=generic -fPIC -fcf-protection=none)
lathe_bitcode(script-aarch64 TRIPLE aarch64-unknown-linux-gnu SOURCES ${runtime_aarch64} ${runtime_script} KEEP lathe_rt_* lathe_host_*
  OPTIONS -march=armv8-a -mno-outline-atomics -fPIC)
lathe_bitcode(script-armv7 TRIPLE armv7-unknown-linux-gnueabihf SOURCES ${runtime_armv7} ${runtime_script}
  KEEP lathe_rt_* lathe_host_* __aeabi_* OPTIONS -march=armv7-a -mfpu=vfpv4-d16 -mfloat-abi=hard -fPIC)

set(runtime_data)
set(runtime_rows)
foreach(family file IN ZIP_LISTS runtime_embedded runtime_embedded_files)
  string(MAKE_C_IDENTIFIER "bitcode_${family}" name)
  string(APPEND runtime_data "FILE_AS_DATA(${name}, \"${file}\", \"\");\nextern const unsigned char ${name}[];\nextern const size_t ${name}_size;\n")
  string(APPEND runtime_rows "    {\"${family}\", ${name}, &${name}_size},\n")
endforeach()
set(runtime_embed ${CMAKE_BINARY_DIR}/runtime/embed.c)
file(CONFIGURE OUTPUT ${runtime_embed} @ONLY CONTENT [[
#include "runtime/embed.h"

#include <stdbool.h>
#include <string.h>

/* Files as data, by the assembler: no compiler has to read them. */
#define FILE_AS_DATA(name, path, tail)                                                                                     \
    __asm__(".section .rodata\n.balign 16\n.globl " #name "\n" #name ":\n.incbin \"" path "\"\n" #name "_end:\n" tail    \
            ".balign 8\n.globl " #name "_size\n" #name "_size: .quad " #name "_end - " #name "\n.text\n")

FILE_AS_DATA(lathe_model_header, "@CMAKE_SOURCE_DIR@/runtime/lathe_model.h", ".byte 0\n");
@runtime_data@
static const struct {
    const char *name;
    const unsigned char *data;
    const size_t *bytes;
} rows[] = {
@runtime_rows@};

const void *runtime_bitcode(const char *name, size_t *bytes)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, name) == 0) {
            *bytes = *rows[i].bytes;
            return rows[i].data;
        }
    return NULL;
}
]])
set_source_files_properties(${runtime_embed} PROPERTIES OBJECT_DEPENDS
  "${runtime_embedded_files};${CMAKE_SOURCE_DIR}/runtime/lathe_model.h")
add_library(lathe_runtime_embed STATIC ${runtime_embed})
target_include_directories(lathe_runtime_embed PUBLIC ${CMAKE_SOURCE_DIR})

if(LATHE_TESTS)
  set(runtime_stress ${CMAKE_SOURCE_DIR}/tests/runtime/stress.c)
  add_executable(runtime_stress ${runtime_stress})
  target_link_libraries(runtime_stress PRIVATE lathe_runtime)
  add_test(NAME runtime/stress COMMAND runtime_stress)

  # Each family's bitcode as an object, as the compiler makes it.
  set(runtime_objects)
  foreach(family ${runtime_embedded})
    set(object ${CMAKE_BINARY_DIR}/runtime/${family}.o)
    add_custom_command(OUTPUT ${object} COMMAND ${LATHE_CLANG} --target=${runtime_triple_${family}} -O2 -fPIC -Wno-override-module
      -c ${CMAKE_BINARY_DIR}/runtime/${family}.bc -o ${object} DEPENDS ${CMAKE_BINARY_DIR}/runtime/${family}.bc VERBATIM)
    list(APPEND runtime_objects ${object})
    add_test(NAME runtime/object_symbols_${family} COMMAND ${CMAKE_COMMAND} -DNM=${CMAKE_NM} -DOBJECT=${object}
             -P ${CMAKE_SOURCE_DIR}/tests/runtime/symbols.cmake)
  endforeach()
  add_custom_target(runtime_objects ALL DEPENDS ${runtime_objects})
  set(runtime_object ${CMAKE_BINARY_DIR}/runtime/x86-64.o)

  # What runtime/libc.h says of libc, by this machine's headers and by those of cross compilers that are there.
  add_library(runtime_libc OBJECT ${CMAKE_SOURCE_DIR}/tests/runtime/libc.c)
  target_include_directories(runtime_libc PRIVATE ${CMAKE_SOURCE_DIR})
  foreach(triple aarch64-linux-gnu arm-linux-gnueabihf)
    find_program(LATHE_GCC_${triple} ${triple}-gcc)
    if(LATHE_GCC_${triple})
      add_test(NAME runtime/libc_${triple} COMMAND ${LATHE_GCC_${triple}} -std=gnu11 -Wall -Werror -fsyntax-only -I${CMAKE_SOURCE_DIR}
               ${CMAKE_SOURCE_DIR}/tests/runtime/libc.c)
    endif()
  endforeach()

  # Criterion does not start under ThreadSanitizer: a plain program and the runtime built once more.
  include(CheckCSourceRuns)
  set(CMAKE_REQUIRED_FLAGS -fsanitize=thread)
  set(CMAKE_REQUIRED_LINK_OPTIONS -fsanitize=thread)
  check_c_source_runs("int main(void) { return 0; }" LATHE_HAVE_TSAN)
  unset(CMAKE_REQUIRED_FLAGS)
  unset(CMAKE_REQUIRED_LINK_OPTIONS)
  if(LATHE_HAVE_TSAN AND NOT LATHE_SANITIZE)
    add_executable(runtime_stress_tsan ${runtime_stress} ${runtime_${runtime_host}} ${runtime_script})
    target_include_directories(runtime_stress_tsan PRIVATE ${CMAKE_SOURCE_DIR})
    target_compile_options(runtime_stress_tsan PRIVATE -fsanitize=thread -g)
    target_link_options(runtime_stress_tsan PRIVATE -fsanitize=thread)
    target_link_libraries(runtime_stress_tsan PRIVATE Threads::Threads)
    add_test(NAME runtime/stress_tsan COMMAND runtime_stress_tsan)
  endif()

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
    add_dependencies(runtime_library_${name} runtime_objects)
    target_include_directories(runtime_library_${name} PRIVATE ${CMAKE_SOURCE_DIR})
    set_target_properties(runtime_library_${name} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/runtime)
  endforeach()

  # A CUDA driver in host memory, and one that is older than what models need; tests open them by path.
  foreach(stub stub_cuda old_cuda)
    add_library(${stub} MODULE ${CMAKE_SOURCE_DIR}/tests/runtime/${stub}.c)
    target_include_directories(${stub} PRIVATE ${CMAKE_SOURCE_DIR})
    target_compile_options(${stub} PRIVATE -Wno-missing-prototypes)
    target_link_options(${stub} PRIVATE -Wl,-soname,libcuda.so.1)
    target_link_libraries(${stub} PRIVATE Threads::Threads)
    set_target_properties(${stub} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/runtime)
  endforeach()

  # Not a test: prints the cost of a launch.
  add_executable(runtime_overhead ${CMAKE_SOURCE_DIR}/tests/runtime/overhead.c)
  target_link_libraries(runtime_overhead PRIVATE lathe_runtime)
endif()
