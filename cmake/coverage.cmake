# Which lines the tests reach: build, ctest, then `cmake --build . --target coverage` (gcovr, or gcov's own text).
add_compile_options(--coverage)
add_link_options(--coverage)
find_program(GCOVR gcovr)
if(GCOVR)
  add_custom_target(coverage COMMAND ${GCOVR} --root ${CMAKE_SOURCE_DIR} --exclude tests --exclude .*generated.* --print-summary
                    --html-details ${CMAKE_BINARY_DIR}/coverage.html ${CMAKE_BINARY_DIR} USES_TERMINAL)
endif()
