# Tests that are more than one program of Criterion: what they need besides their own file.

# Tests of the lathe program run it.
if(TARGET tools_test_program)
  add_dependencies(tools_test_program lathe)
endif()

find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)
include(${CMAKE_SOURCE_DIR}/tests/house.cmake)

# Models that are wrong, greedy or odd, through the program.
if(TARGET lathe)
  add_test(NAME tools/hostile COMMAND sh ${CMAKE_SOURCE_DIR}/tests/hostile.sh $<TARGET_FILE:lathe> ${CMAKE_SOURCE_DIR}/tests/data/hostile)
endif()
