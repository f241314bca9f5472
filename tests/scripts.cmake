# Tests that are more than one program of Criterion: what they need besides their own file.

# Tests of the lathe program run it.
if(TARGET tools_test_program)
  add_dependencies(tools_test_program lathe)
endif()
