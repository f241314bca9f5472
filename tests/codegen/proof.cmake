# lathe_proof: models held against the interpreter (tests/codegen/proof.h), for plain programs and Criterion tests of this folder.
add_library(lathe_proof STATIC
  ${CMAKE_SOURCE_DIR}/tests/codegen/proof_memory.c ${CMAKE_SOURCE_DIR}/tests/codegen/proof_model.c
  ${CMAKE_SOURCE_DIR}/tests/codegen/proof_kernel.c ${CMAKE_SOURCE_DIR}/tests/codegen/proof_plan.c
  ${CMAKE_SOURCE_DIR}/tests/codegen/proof_cases.c ${CMAKE_SOURCE_DIR}/tests/codegen/proof_networks.c
  ${CMAKE_SOURCE_DIR}/tests/codegen/proof_bytes.c
  ${CMAKE_SOURCE_DIR}/tests/codegen/proof_property.c
  ${CMAKE_SOURCE_DIR}/tests/codegen/guarded.c ${CMAKE_SOURCE_DIR}/tests/codegen/elsewhere.c)
target_compile_definitions(lathe_proof PRIVATE CROSS_GUESTS="${CMAKE_BINARY_DIR}/tests/cross")

# What calls kernels in an emulator, for each machine that there is a cross compiler for.
foreach(gnu aarch64-linux-gnu arm-linux-gnueabihf)
  find_program(LATHE_GCC_${gnu} ${gnu}-gcc)
  if(LATHE_GCC_${gnu})
    set(guest ${CMAKE_BINARY_DIR}/tests/cross/guest-${gnu})
    set(guest_sources ${CMAKE_SOURCE_DIR}/tests/cross/guest.c ${CMAKE_SOURCE_DIR}/tests/codegen/guarded.c)
    add_custom_command(OUTPUT ${guest} COMMAND ${LATHE_GCC_${gnu}} -std=gnu11 -O1 -Wall -Wextra -Werror -I${CMAKE_SOURCE_DIR}
      ${guest_sources} -o ${guest} -ldl DEPENDS ${guest_sources} ${CMAKE_SOURCE_DIR}/tests/cross/call.h
      ${CMAKE_SOURCE_DIR}/tests/codegen/guarded.h ${CMAKE_SOURCE_DIR}/runtime/lathe_runtime.h VERBATIM)
    add_custom_target(guest_${gnu} ALL DEPENDS ${guest})
  endif()
endforeach()
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/tests/cross)
target_include_directories(lathe_proof PUBLIC ${CMAKE_SOURCE_DIR})
target_link_libraries(lathe_proof PUBLIC lathe_codegen lathe_frontend lathe_passes lathe_ir lathe_targets ${CMAKE_DL_LIBS})

add_executable(codegen_kernels ${CMAKE_SOURCE_DIR}/tests/codegen/kernels.c)
target_link_libraries(codegen_kernels PRIVATE lathe_proof)

# Every kernel of the models in the tree, with and without fusion; of larger ones where LATHE_MODELS names their files.
file(GLOB proof_models CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/examples/*/*.onnx ${CMAKE_SOURCE_DIR}/tests/data/onnx/good/*.onnx
  ${CMAKE_SOURCE_DIR}/tests/data/onnx/found/*.onnx)
add_test(NAME codegen/kernels COMMAND codegen_kernels --orders 4 ${proof_models})
add_test(NAME codegen/kernels_plain COMMAND codegen_kernels -O 0 --orders 4 ${proof_models})
add_test(NAME codegen/kernels_large COMMAND sh -c "test -n \"$LATHE_MODELS\" || exit 77; exec $<TARGET_FILE:codegen_kernels> $LATHE_MODELS")
set_tests_properties(codegen/kernels_large PROPERTIES LABELS nightly SKIP_RETURN_CODE 77 TIMEOUT 7200)

# Random cases and schedules: a few by day, thousands at night.
add_executable(codegen_schedules ${CMAKE_SOURCE_DIR}/tests/codegen/schedules.c)
target_link_libraries(codegen_schedules PRIVATE lathe_proof)
add_test(NAME codegen/schedules COMMAND codegen_schedules 1 4)
foreach(level x86-64-v3 x86-64-v4 x86-64-v4-amx)
  add_test(NAME codegen/schedules_${level} COMMAND codegen_schedules --level ${level} 5 600)
  set_tests_properties(codegen/schedules_${level} PROPERTIES LABELS nightly TIMEOUT 14400)
endforeach()

# In an emulator: other machines.
foreach(level aarch64 armv7-neon)
  add_test(NAME codegen/kernels_${level} COMMAND codegen_kernels --level ${level} ${proof_models})
  set_tests_properties(codegen/kernels_${level} PROPERTIES SKIP_RETURN_CODE 77)
endforeach()

# GPU schedules of the same models: blocks and threads in the interpreter, the whole program too.
add_test(NAME codegen/kernels_gpu COMMAND codegen_kernels --no-machine --level sm_80 --orders 2 ${proof_models})
add_test(NAME codegen/kernels_gpu_old COMMAND codegen_kernels --no-machine --level sm_75 --orders 2 ${proof_models})
add_test(NAME codegen/kernels_gpu_plain COMMAND codegen_kernels --no-machine --level sm_90 -O 0 --orders 2 ${proof_models})
add_test(NAME codegen/kernels_gpu_large COMMAND sh -c "test -n \"$LATHE_MODELS\" || exit 77; exec $<TARGET_FILE:codegen_kernels> --no-machine --level sm_80 --rounds 1 $LATHE_MODELS")
set_tests_properties(codegen/kernels_gpu_large PROPERTIES LABELS nightly SKIP_RETURN_CODE 77 TIMEOUT 7200)

# The same bits from any number of threads. Kernels are not instrumented; the runtime is, where ThreadSanitizer works.
if(TARGET lathe)
  add_executable(codegen_threads ${CMAKE_SOURCE_DIR}/tests/codegen/threads.c)
  target_link_libraries(codegen_threads PRIVATE lathe_runtime ${CMAKE_DL_LIBS})
  set(threads_programs codegen_threads)
  if(LATHE_HAVE_TSAN AND NOT LATHE_SANITIZE)
    add_executable(codegen_threads_tsan ${CMAKE_SOURCE_DIR}/tests/codegen/threads.c ${runtime_${runtime_host}})
    target_include_directories(codegen_threads_tsan PRIVATE ${CMAKE_SOURCE_DIR})
    target_compile_options(codegen_threads_tsan PRIVATE -fsanitize=thread -g)
    target_link_options(codegen_threads_tsan PRIVATE -fsanitize=thread)
    target_link_libraries(codegen_threads_tsan PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
    list(APPEND threads_programs codegen_threads_tsan)
  endif()
  set(threads_folder ${CMAKE_BINARY_DIR}/tests/threads)
  file(MAKE_DIRECTORY ${threads_folder})
  set(threads_libraries)
  foreach(model digits/digits shakespeare/shakespeare)
    get_filename_component(name ${model} NAME)
    add_test(NAME codegen/threads_compile_${name} COMMAND lathe compile ${CMAKE_SOURCE_DIR}/examples/${model}.onnx -o ${threads_folder}/${name}.so)
    set_tests_properties(codegen/threads_compile_${name} PROPERTIES FIXTURES_SETUP codegen_threads)
    list(APPEND threads_libraries ${threads_folder}/${name}.so)
  endforeach()
  add_executable(codegen_typed ${CMAKE_SOURCE_DIR}/tests/codegen/typed.c)
  target_include_directories(codegen_typed PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(codegen_typed PRIVATE PkgConfig::FFI ${CMAKE_DL_LIBS})
  add_test(NAME codegen/codegen_typed COMMAND codegen_typed digits ${threads_folder}/digits.so shakespeare ${threads_folder}/shakespeare.so)
  set_tests_properties(codegen/codegen_typed PROPERTIES FIXTURES_REQUIRED codegen_threads)
  foreach(program ${threads_programs})
    add_test(NAME codegen/${program} COMMAND ${program} ${threads_libraries})
    set_tests_properties(codegen/${program} PROPERTIES FIXTURES_REQUIRED codegen_threads)
  endforeach()
endif()
