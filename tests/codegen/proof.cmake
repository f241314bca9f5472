# lathe_proof: models held against the interpreter (tests/codegen/proof.h), for plain programs and Criterion tests of this folder.
add_library(lathe_proof STATIC
  ${CMAKE_SOURCE_DIR}/tests/codegen/proof_memory.c ${CMAKE_SOURCE_DIR}/tests/codegen/proof_model.c
  ${CMAKE_SOURCE_DIR}/tests/codegen/proof_kernel.c ${CMAKE_SOURCE_DIR}/tests/codegen/proof_plan.c)
target_include_directories(lathe_proof PUBLIC ${CMAKE_SOURCE_DIR})
target_link_libraries(lathe_proof PUBLIC lathe_codegen lathe_frontend lathe_passes lathe_ir lathe_targets ${CMAKE_DL_LIBS})

add_executable(codegen_kernels ${CMAKE_SOURCE_DIR}/tests/codegen/kernels.c)
target_link_libraries(codegen_kernels PRIVATE lathe_proof)
