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
foreach(row "aarch64;qemu-aarch64-static;aarch64-linux-gnu" "armv7-neon;qemu-arm-static;arm-linux-gnueabihf")
  list(GET row 0 target)
  list(GET row 1 emulator)
  list(GET row 2 gnu)
  add_test(NAME tune/elsewhere-${target}
           COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/tune/elsewhere.py $<TARGET_FILE:lathe> ${CMAKE_BINARY_DIR}/tune-${target}
                   ${CMAKE_SOURCE_DIR} ${target} ${emulator} ${gnu})
  set_tests_properties(tune/elsewhere-${target} PROPERTIES SKIP_RETURN_CODE 77)
endforeach()
