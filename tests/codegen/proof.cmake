# lathe_proof: models held against the interpreter (tests/codegen/proof.h), for plain programs and Criterion tests of this folder.
add_library(lathe_proof STATIC
  ${CMAKE_SOURCE_DIR}/tests/codegen/proof_memory.c ${CMAKE_SOURCE_DIR}/tests/codegen/proof_model.c
  ${CMAKE_SOURCE_DIR}/tests/codegen/proof_kernel.c ${CMAKE_SOURCE_DIR}/tests/codegen/proof_plan.c)
target_include_directories(lathe_proof PUBLIC ${CMAKE_SOURCE_DIR})
target_link_libraries(lathe_proof PUBLIC lathe_codegen lathe_frontend lathe_passes lathe_ir lathe_targets ${CMAKE_DL_LIBS})

add_executable(codegen_kernels ${CMAKE_SOURCE_DIR}/tests/codegen/kernels.c)
target_link_libraries(codegen_kernels PRIVATE lathe_proof)

# Every kernel of the models in the tree, with and without fusion; of larger ones where LATHE_MODELS names their files.
file(GLOB proof_models CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/examples/*/*.onnx ${CMAKE_SOURCE_DIR}/tests/data/onnx/good/*.onnx)
add_test(NAME codegen/kernels COMMAND codegen_kernels --orders 4 ${proof_models})
add_test(NAME codegen/kernels_plain COMMAND codegen_kernels -O 0 --orders 4 ${proof_models})
add_test(NAME codegen/kernels_large COMMAND sh -c "test -n \"$LATHE_MODELS\" || exit 77; exec $<TARGET_FILE:codegen_kernels> $LATHE_MODELS")
set_tests_properties(codegen/kernels_large PROPERTIES LABELS nightly SKIP_RETURN_CODE 77 TIMEOUT 7200)
