# Everything Lathe is built with, found once. Packages of Debian 12: see README, command two.

find_package(PkgConfig REQUIRED)

# find_package(LLVM 22) does not accept 22.1, the exact minor does; look into Debian's versioned folders too.
string(REGEX MATCH "^[0-9]+" llvm_major "${LATHE_LLVM_VERSION}")
find_package(LLVM ${LATHE_LLVM_VERSION} REQUIRED CONFIG PATHS /usr/lib/llvm-${llvm_major} NO_DEFAULT_PATH)
add_library(lathe_llvm INTERFACE)
target_include_directories(lathe_llvm SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS})
if(LATHE_STATIC_LLVM)
  # Archives only, C++'s own among them, so that the program needs nothing but the C library. llvm-config knows the order; what it says
  # about system libraries is for parts of LLVM that we do not use, except the two compressions.
  set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
  execute_process(COMMAND ${LLVM_TOOLS_BINARY_DIR}/llvm-config --link-static --libfiles core analysis passes target x86 aarch64 arm nvptx irreader support
                  OUTPUT_VARIABLE llvm_libraries OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(llvm_libraries)
  find_library(ZSTD_ARCHIVE zstd REQUIRED)
  find_library(Z_ARCHIVE z REQUIRED)
  execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=libstdc++.a
                  OUTPUT_VARIABLE cxx_archive OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  target_link_libraries(lathe_llvm INTERFACE ${llvm_libraries} ${ZSTD_ARCHIVE} ${Z_ARCHIVE} ${cxx_archive} m ${CMAKE_DL_LIBS})
  target_link_options(lathe_llvm INTERFACE -static-libgcc LINKER:--gc-sections)
else()
  target_link_libraries(lathe_llvm INTERFACE LLVM)
  target_link_directories(lathe_llvm INTERFACE ${LLVM_LIBRARY_DIRS})
endif()

# The runtime becomes bitcode, which an LLVM reads that is no older than the clang: the one beside it first.
set(llvm_major "${LLVM_VERSION_MAJOR}")
find_program(LATHE_CLANG NAMES clang clang-${llvm_major} HINTS ${LLVM_TOOLS_BINARY_DIR} NO_DEFAULT_PATH)
find_program(LATHE_CLANG NAMES clang-${llvm_major} REQUIRED)
find_program(LATHE_LLVM_LINK NAMES llvm-link HINTS ${LLVM_TOOLS_BINARY_DIR} NO_DEFAULT_PATH)
find_program(LATHE_LLVM_LINK NAMES llvm-link-${llvm_major} REQUIRED)
find_program(LATHE_OPT NAMES opt HINTS ${LLVM_TOOLS_BINARY_DIR} NO_DEFAULT_PATH)
find_program(LATHE_OPT NAMES opt-${llvm_major} REQUIRED)

pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
find_program(PROTOC_C protoc-c REQUIRED)
pkg_check_modules(FFI REQUIRED IMPORTED_TARGET libffi)
pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)
pkg_check_modules(JPEG REQUIRED IMPORTED_TARGET libjpeg)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
find_library(GCRYPT_LIBRARY gcrypt REQUIRED)
if(LATHE_STATIC_LLVM)
  find_library(GPG_ERROR_ARCHIVE gpg-error REQUIRED)
  list(APPEND GCRYPT_LIBRARY ${GPG_ERROR_ARCHIVE})
  # In one program, jansson's makers of values and the writer of tools/json.h cannot both have these names. Lathe only reads with jansson.
  find_library(JANSSON_ARCHIVE jansson REQUIRED)
  set(renamed)
  foreach(name object array string integer null)
    list(APPEND renamed --redefine-sym json_${name}=jansson_${name})
  endforeach()
  execute_process(COMMAND ${CMAKE_OBJCOPY} ${renamed} ${JANSSON_ARCHIVE} ${CMAKE_BINARY_DIR}/libjansson-renamed.a
                  COMMAND_ERROR_IS_FATAL ANY)
  set_target_properties(PkgConfig::JANSSON PROPERTIES INTERFACE_LINK_LIBRARIES ${CMAKE_BINARY_DIR}/libjansson-renamed.a)
endif()
