# lathe tune, from outside: with a runner that makes times up, with one that plants bad candidates, killed and resumed.
foreach(name search kill records)
  add_test(NAME tune/${name} COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/tune/${name}.py $<TARGET_FILE:lathe>
                                     ${CMAKE_BINARY_DIR}/tune-${name})
endforeach()
# Sanitizers reserve all addresses, so memory is not limited under them: nothing greedy is planted then.
if(NOT LATHE_SANITIZE)
  add_test(NAME tune/plants COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/tune/plants.py $<TARGET_FILE:lathe>
                                    ${CMAKE_BINARY_DIR}/tune-plants $<TARGET_FILE:lathe-runner> ${CMAKE_C_COMPILER})
endif()
