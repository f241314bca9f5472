# Tests that are more than one program of Criterion: what they need besides their own file.

# Tests of the lathe program run it.
if(TARGET tools_test_program)
  add_dependencies(tools_test_program lathe)
endif()

find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)
include(${CMAKE_SOURCE_DIR}/tests/house.cmake)

# docs/operators.md is made from the tables: `cmake --build build --target operators` writes it anew.
if(TARGET lathe)
  add_custom_target(operators COMMAND $<TARGET_FILE:lathe> operators --markdown > ${CMAKE_SOURCE_DIR}/docs/operators.md DEPENDS lathe VERBATIM)
  add_test(NAME house/operators COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/operators.py $<TARGET_FILE:lathe> ${CMAKE_SOURCE_DIR})
endif()

if(TARGET lathe)
  add_test(NAME codegen/halves COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/codegen/halves.py $<TARGET_FILE:lathe>)
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
    add_test(NAME codegen/bytes COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/codegen/bytes.py $<TARGET_FILE:lathe>)
  endif()
endif()

# Which node is wrong?
if(TARGET lathe)
  add_test(NAME tools/validate COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/tools/validate.py $<TARGET_FILE:lathe>
           ${CMAKE_SOURCE_DIR}/examples/digits/digits.onnx)
  set_tests_properties(tools/validate PROPERTIES SKIP_RETURN_CODE 77)
  add_test(NAME tools/custom COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/tools/custom.py $<TARGET_FILE:lathe> ${CMAKE_SOURCE_DIR}/examples/custom)
  add_test(NAME tools/reduce COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/tools/reduce.py $<TARGET_FILE:lathe>)
  add_test(NAME tools/control COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/tools/control.py $<TARGET_FILE:lathe>
           ${CMAKE_SOURCE_DIR}/tests/data/onnx/good)
endif()

# The tests of the onnx package: a third of them that has every operator, and all of them at night.
if(TARGET lathe)
  set(conformance ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/conformance/conformance.py $<TARGET_FILE:lathe> --cache ${CMAKE_BINARY_DIR}/conformance-cache)
  add_test(NAME conformance/third COMMAND ${conformance} --part 3 -j 2)
  add_test(NAME conformance/compiled COMMAND ${conformance})
  add_test(NAME conformance/level0 COMMAND ${conformance} -- -O0)
  add_test(NAME conformance/interpreter COMMAND ${conformance} -- --backend interpreter)
  add_test(NAME conformance/symbolic COMMAND ${conformance} --symbolic)
  set_tests_properties(conformance/third conformance/compiled conformance/level0 conformance/interpreter conformance/symbolic PROPERTIES
                       SKIP_RETURN_CODE 77 TIMEOUT 3600 PROCESSORS 2)
  set_tests_properties(conformance/compiled conformance/level0 conformance/interpreter conformance/symbolic PROPERTIES LABELS nightly)
endif()

# Random models over the table of operators.
if(TARGET lathe)
  set(random_models ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/random/random_models.py $<TARGET_FILE:lathe> --cache ${CMAKE_BINARY_DIR}/conformance-cache)
  add_test(NAME random/models COMMAND ${random_models} --count 60 --seed 1 -j 2)
  add_test(NAME random/models_large COMMAND ${random_models} --count 2000 --seed 1000)
  set_tests_properties(random/models random/models_large PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 7200 PROCESSORS 2)
  set_tests_properties(random/models_large PROPERTIES LABELS nightly)
endif()

# Models that are wrong, greedy or odd, through the program.
if(TARGET lathe)
  add_test(NAME tools/hostile COMMAND sh ${CMAKE_SOURCE_DIR}/tests/hostile.sh $<TARGET_FILE:lathe> ${CMAKE_SOURCE_DIR}/tests/data/hostile)
endif()

# Kernels for GPUs through NVIDIA's assembler; of larger models where LATHE_MODELS names their files.
if(TARGET lathe)
  file(GLOB ptx_models CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/examples/*/*.onnx)
  add_test(NAME codegen/ptx_models COMMAND sh ${CMAKE_SOURCE_DIR}/tests/codegen/ptx.sh $<TARGET_FILE:lathe> ${ptx_models}
           ${CMAKE_SOURCE_DIR}/tests/data/onnx/good/types.onnx ${CMAKE_SOURCE_DIR}/tests/data/onnx/good/loop_numbers.onnx)
  add_test(NAME codegen/ptx_models_large COMMAND sh -c "exec sh ${CMAKE_SOURCE_DIR}/tests/codegen/ptx.sh $<TARGET_FILE:lathe> $LATHE_MODELS")
  set_tests_properties(codegen/ptx_models codegen/ptx_models_large PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 3600)
  set_tests_properties(codegen/ptx_models_large PROPERTIES LABELS nightly)
endif()

# Models for other machines, run in an emulator.
if(TARGET lathe)
  foreach(row "aarch64;qemu-aarch64-static;aarch64-linux-gnu" "armv7-neon;qemu-arm-static;arm-linux-gnueabihf")
    list(GET row 0 target)
    list(GET row 1 emulator)
    list(GET row 2 gnu)
    add_test(NAME cross/${target} COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/cross/cross.py $<TARGET_FILE:lathe>
             ${CMAKE_SOURCE_DIR} ${target} ${emulator} ${gnu}-gcc /usr/${gnu})
    set_tests_properties(cross/${target} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 900)
  endforeach()
endif()

# Libraries for microcontrollers; those that run on emulated boards need gcc-arm-none-eabi and qemu-system-arm.
if(TARGET lathe)
  foreach(case library limits codes cmake functions sorts exact microbit mps2-an385 mps2-an386 mps2-an500 mps3-an547)
    add_test(NAME microcontroller/${case} COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/microcontroller.py
             $<TARGET_FILE:lathe> ${CMAKE_SOURCE_DIR} ${case})
    set_tests_properties(microcontroller/${case} PROPERTIES SKIP_RETURN_CODE 77)
  endforeach()
endif()
include(${CMAKE_SOURCE_DIR}/tests/tune/tune.cmake)
