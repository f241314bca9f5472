# Everything Lathe is built with, found once. Packages of Debian 12: see README, command two.

find_package(PkgConfig REQUIRED)

# find_package(LLVM 22) does not accept 22.1, the exact minor does; look into Debian's versioned folders too.
string(REGEX MATCH "^[0-9]+" llvm_major "${LATHE_LLVM_VERSION}")
find_package(LLVM ${LATHE_LLVM_VERSION} REQUIRED CONFIG PATHS /usr/lib/llvm-${llvm_major} NO_DEFAULT_PATH)
add_library(lathe_llvm INTERFACE)
target_include_directories(lathe_llvm SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS})
if(LATHE_STATIC_LLVM)
  llvm_map_components_to_libnames(llvm_libraries core analysis passes target x86 aarch64 arm nvptx support transformutils instcombine scalaropts irreader bitreader bitwriter linker)
  target_link_libraries(lathe_llvm INTERFACE ${llvm_libraries})
else()
  target_link_libraries(lathe_llvm INTERFACE LLVM)
  target_link_directories(lathe_llvm INTERFACE ${LLVM_LIBRARY_DIRS})
endif()

pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
find_program(PROTOC_C protoc-c REQUIRED)
pkg_check_modules(FFI REQUIRED IMPORTED_TARGET libffi)
pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)
pkg_check_modules(JPEG REQUIRED IMPORTED_TARGET libjpeg)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
find_library(GCRYPT_LIBRARY gcrypt REQUIRED)
