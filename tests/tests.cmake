# One Criterion program per C file under tests/<folder>/; a file may start with a line
#   /* links: lathe_ir lathe_passes */
# that names what it links (default: the library of its folder). Scripts register themselves in tests/scripts.cmake.
pkg_check_modules(CRITERION REQUIRED IMPORTED_TARGET criterion)

include(${CMAKE_SOURCE_DIR}/tests/codegen/proof.cmake)

file(GLOB test_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/*/test_*.c)
foreach(source ${test_sources})
  get_filename_component(name ${source} NAME_WE)
  get_filename_component(folder ${source} DIRECTORY)
  get_filename_component(folder ${folder} NAME)
  file(STRINGS ${source} links REGEX "links:" LIMIT_COUNT 1)
  if(links MATCHES "links: ([a-z_ ]+)")
    string(STRIP "${CMAKE_MATCH_1}" libraries)
    separate_arguments(libraries)
  else()
    set(libraries lathe_${folder})
  endif()
  add_executable(${folder}_${name} ${source})
  target_link_libraries(${folder}_${name} PRIVATE ${libraries} PkgConfig::CRITERION)
  target_compile_definitions(${folder}_${name} PRIVATE SOURCE_DIR="${CMAKE_SOURCE_DIR}" BINARY_DIR="${CMAKE_BINARY_DIR}")
  add_test(NAME ${folder}/${name} COMMAND ${folder}_${name} --timeout 300)
endforeach()
include(${CMAKE_SOURCE_DIR}/tests/scripts.cmake OPTIONAL)
