# Tests of the house around the compiler: the rules of the source tree, the installed package, the Python package.

add_test(NAME house/layers COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/layers.py ${CMAKE_SOURCE_DIR})
add_test(NAME house/recipe COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/recipe.py ${CMAKE_SOURCE_DIR})
# Every header compiles alone; one of them is generated.
add_test(NAME house/headers COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/headers.py ${CMAKE_SOURCE_DIR}
         ${CMAKE_C_COMPILER} ${frontend_generated} ${LLVM_INCLUDE_DIRS} ${PROTOBUF_C_INCLUDE_DIRS})
add_test(NAME house/package COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/package.py ${CMAKE_BINARY_DIR} ${CMAKE_SOURCE_DIR})
add_test(NAME house/python COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/python/tests/test_lathe.py)
set_tests_properties(house/python PROPERTIES ENVIRONMENT "LATHE=$<TARGET_FILE:lathe>;LATHE_SOURCE=${CMAKE_SOURCE_DIR}")
# An exit status of 77 is a test that could not be made here; it says why.
set_tests_properties(house/python PROPERTIES SKIP_RETURN_CODE 77)

include(${CMAKE_SOURCE_DIR}/cmake/fuzz.cmake)
