# lathe_add_model and lathe_target_models: ONNX models as targets. See docs/cmake.md.

set(_LATHE_MODEL_TEST_SOURCE "${CMAKE_CURRENT_LIST_DIR}/model_test.c")

# Is this build for a machine without an operating system? Then there are no threads and no libm to link.
function(_lathe_is_bare result)
  if(CMAKE_SYSTEM_NAME STREQUAL "Generic")
    set(${result} TRUE PARENT_SCOPE)
  else()
    set(${result} FALSE PARENT_SCOPE)
  endif()
endfunction()

# The Cortex-M core that the compiler's flags name, as lathe names it; empty where they name none that is known.
function(_lathe_cortex_m result)
  set(flags "${CMAKE_C_FLAGS} ${CMAKE_C_FLAGS_INIT} -mcpu=${CMAKE_SYSTEM_PROCESSOR}")
  # One row per core: what the flags hold; what lathe calls it. The first that fits counts. Cores without an FPU, or whose FPU is
  # not used, run what a Cortex-M0+ runs.
  set(float "-mfloat-abi=(hard|softfp)")
  set(cores
    "-mcpu=cortex-m55 .*${float}" cortex-m55
    "-mcpu=cortex-m7 .*${float}.*-mfpu=fpv[45]-sp-d16|-mcpu=cortex-m7 .*-mfpu=fpv[45]-sp-d16.*${float}" cortex-m7-sp
    "-mcpu=cortex-m7 .*${float}" cortex-m7
    "-mcpu=cortex-m4 .*${float}" cortex-m4f
    "-mcpu=cortex-m(0|0plus|1|3|4|7) " cortex-m0plus)
  while(cores)
    list(POP_FRONT cores pattern name)
    if("${flags} " MATCHES "${pattern}")
      set(${result} ${name} PARENT_SCOPE)
      return()
    endif()
  endwhile()
  set(${result} "" PARENT_SCOPE)
endfunction()

# The target of this build, as lathe names it. Never silently the host: an unknown processor is an error.
function(_lathe_target result)
  set(triple "${CMAKE_C_COMPILER_TARGET}")
  if(NOT triple)
    set(triple "${CMAKE_SYSTEM_PROCESSOR}")
  endif()
  _lathe_is_bare(bare)
  if(bare)
    _lathe_cortex_m(core)
    if(core)
      set(${result} ${core} PARENT_SCOPE)
      return()
    endif()
  endif()
  # One row per family: what CMake or the compiler calls it, behind the system; bytes of a pointer; what lathe calls it.
  set(families
    "^[A-Za-z]+:(x86_64|amd64|AMD64)(-|$)" 8 "x86-64"
    "^Linux:(aarch64|arm64)(-|$)" 8 "aarch64"
    "^Linux:(arm|armhf|armv7|armv7-a|armv7a|armv7l|armv8l)(-|$)" 4 "armv7")
  while(families)
    list(POP_FRONT families pattern bytes name)
    if("${CMAKE_SYSTEM_NAME}:${triple}" MATCHES "${pattern}" AND CMAKE_SIZEOF_VOID_P EQUAL bytes)
      set(${result} "${name}" PARENT_SCOPE)
      return()
    endif()
  endwhile()
  message(FATAL_ERROR "lathe_add_model: no target of lathe is known for the processor \"${triple}\" "
    "(CMAKE_C_COMPILER_TARGET, CMAKE_SYSTEM_PROCESSOR); TARGET_TRIPLE names one, `lathe targets` lists them")
endfunction()

# The command that compiles a model: sets <result>_OBJECT, _HEADER, _FOLDER, _REPORT, _LLVM_IR in the caller.
function(_lathe_compile result target model prefix)
  cmake_parse_arguments(PARSE_ARGV 4 ARG "REPORT;LLVM_IR" "TARGET_TRIPLE;CPU;FEATURES;TUNING" "SHAPES;OPTIONS;DEPENDS")
  get_filename_component(model "${model}" ABSOLUTE)
  if(NOT EXISTS "${model}")
    get_source_file_property(generated "${model}" GENERATED)
    if(NOT generated)
      message(FATAL_ERROR "lathe_add_model(${target}): there is no file ${model}, and no command that makes it")
    endif()
  endif()
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/${target}.lathe")
  file(MAKE_DIRECTORY "${folder}")
  set(stem "${folder}/${prefix}")
  set(outputs "${stem}.o" "${stem}.h")
  set(emit obj)
  if(ARG_REPORT)
    string(APPEND emit ",report")
    list(APPEND outputs "${stem}.json")
  endif()
  if(ARG_LLVM_IR)
    string(APPEND emit ",llvm")
    list(APPEND outputs "${stem}.ll")
  endif()

  if(NOT ARG_TARGET_TRIPLE)
    _lathe_target(ARG_TARGET_TRIPLE)
  endif()
  set(arguments --target "${ARG_TARGET_TRIPLE}" --prefix "${prefix}" --emit "${emit}" --header "${stem}.h" --depfile "${stem}.d")
  foreach(option CPU FEATURES)
    if(ARG_${option})
      string(TOLOWER "${option}" name)
      string(REPLACE ";" "," value "${ARG_${option}}")
      list(APPEND arguments "--${name}" "${value}")
    endif()
  endforeach()
  if(ARG_TUNING)
    get_filename_component(tuning "${ARG_TUNING}" ABSOLUTE)
    list(APPEND arguments --tuning "${tuning}")
    list(APPEND ARG_DEPENDS "${tuning}")
  endif()
  foreach(shape IN LISTS ARG_SHAPES)
    list(APPEND arguments --shape "${shape}")
  endforeach()

  get_filename_component(name "${model}" NAME)
  add_custom_command(
    OUTPUT ${outputs}
    COMMAND Lathe::lathe compile --quiet ${arguments} ${ARG_OPTIONS} "${model}" -o "${stem}.o"
    # lathe leaves an output alone that would not change; make compares times, so the first one always gets a new one.
    COMMAND "${CMAKE_COMMAND}" -E touch "${stem}.o"
    DEPENDS "${model}" Lathe::lathe "${Lathe_EXECUTABLE}" ${ARG_DEPENDS}
    DEPFILE "${stem}.d"
    COMMENT "Compiling model ${name}"
    VERBATIM COMMAND_EXPAND_LISTS)
  # What else lathe writes beside the object.
  set_property(DIRECTORY APPEND PROPERTY ADDITIONAL_CLEAN_FILES "${stem}.json" "${stem}.stages" "${stem}.d")
  set_source_files_properties("${stem}.o" PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
  set_source_files_properties("${stem}.h" PROPERTIES GENERATED ON HEADER_FILE_ONLY ON)
  set(${result}_OBJECT "${stem}.o" PARENT_SCOPE)
  set(${result}_HEADER "${stem}.h" PARENT_SCOPE)
  set(${result}_FOLDER "${folder}" PARENT_SCOPE)
  set(${result}_REPORT "${stem}.json" PARENT_SCOPE)
  set(${result}_LLVM_IR "${stem}.ll" PARENT_SCOPE)
endfunction()

# A program that runs the model on the inputs of a folder and compares, as a test of CTest.
function(_lathe_add_test target prefix object header folder)
  get_filename_component(folder "${folder}" ABSOLUTE)
  add_executable(${target}_test EXCLUDE_FROM_ALL "${_LATHE_MODEL_TEST_SOURCE}" "${object}" "${header}")
  get_filename_component(include "${header}" DIRECTORY)
  get_filename_component(name "${header}" NAME)
  target_include_directories(${target}_test PRIVATE "${include}")
  target_compile_definitions(${target}_test PRIVATE "MODEL_HEADER=\"${name}\"" "MODEL=${prefix}_model")
  target_link_libraries(${target}_test PRIVATE Threads::Threads m)
  set_target_properties(${target}_test PROPERTIES C_STANDARD 99 EXCLUDE_FROM_ALL OFF)
  add_dependencies(${target}_test ${target})
  add_test(NAME ${target} COMMAND ${target}_test "${folder}")
endfunction()

# lathe_add_model(<target> MODEL <file> [TYPE OBJECT|STATIC|SHARED|MODULE] [PREFIX <c-identifier>]
#                 [SHAPES in=1x3x224x224 ...] [TARGET_TRIPLE <triple>] [CPU <level>...] [FEATURES <+a,-b>]
#                 [TUNING <records>] [OPTIONS <option>...] [DEPENDS <file or target>...]
#                 [HEADER <variable>] [REPORT <variable>] [LLVM_IR <variable>] [TEST_DATA <folder>])
#
# A library <target> (STATIC where TYPE is not given) of the compiled model. Who links it finds the header <prefix>.h; PREFIX is
# the target's name, made a C identifier, where it is not given. External data is followed by itself; DEPENDS is for the rest.
function(lathe_add_model target)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "MODEL;TYPE;PREFIX;TARGET_TRIPLE;FEATURES;TUNING;HEADER;REPORT;LLVM_IR;TEST_DATA"
    "SHAPES;CPU;OPTIONS;DEPENDS")
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "lathe_add_model(${target}): unknown arguments: ${ARG_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT ARG_MODEL)
    message(FATAL_ERROR "lathe_add_model(${target}) needs MODEL <file>")
  endif()
  if(NOT ARG_TYPE)
    set(ARG_TYPE STATIC)
  endif()
  if(NOT ARG_TYPE MATCHES "^(OBJECT|STATIC|SHARED|MODULE)$")
    message(FATAL_ERROR "lathe_add_model(${target}): TYPE is OBJECT, STATIC, SHARED or MODULE, not ${ARG_TYPE}")
  endif()
  if(NOT ARG_PREFIX)
    string(MAKE_C_IDENTIFIER "${target}" ARG_PREFIX)
  endif()
  _lathe_is_bare(bare)
  set(libraries)
  if(NOT bare)
    set(THREADS_PREFER_PTHREAD_FLAG ON)
    find_package(Threads REQUIRED)
    set(libraries Threads::Threads m)
  endif()

  set(wanted)
  foreach(extra REPORT LLVM_IR)
    if(ARG_${extra})
      list(APPEND wanted ${extra})
    endif()
  endforeach()
  string(REPLACE ";" "," cpu "${ARG_CPU}")
  _lathe_compile(made ${target} "${ARG_MODEL}" ${ARG_PREFIX} ${wanted} TARGET_TRIPLE "${ARG_TARGET_TRIPLE}" CPU "${cpu}"
    FEATURES "${ARG_FEATURES}" TUNING "${ARG_TUNING}" SHAPES ${ARG_SHAPES} OPTIONS ${ARG_OPTIONS} DEPENDS ${ARG_DEPENDS})

  if(ARG_TYPE STREQUAL "OBJECT")
    # CMake has no object libraries of ready objects: who links this one links the file.
    add_custom_target(${target}_object DEPENDS "${made_OBJECT}" "${made_HEADER}")
    add_library(${target} INTERFACE)
    add_dependencies(${target} ${target}_object)
    target_link_libraries(${target} INTERFACE "${made_OBJECT}" ${libraries})
    set(scope INTERFACE)
  else()
    add_library(${target} ${ARG_TYPE} "${made_OBJECT}" "${made_HEADER}")
    set_target_properties(${target} PROPERTIES LINKER_LANGUAGE C)
    target_link_libraries(${target} PUBLIC ${libraries})
    set(scope PUBLIC)
    if(ARG_TYPE MATCHES "SHARED|MODULE")
      # The name that generic hosts look for.
      target_link_options(${target} PRIVATE "LINKER:--defsym=lathe_model_v1=${ARG_PREFIX}_model")
    endif()
  endif()
  target_include_directories(${target} ${scope} "$<BUILD_INTERFACE:${made_FOLDER}>")

  foreach(output HEADER REPORT LLVM_IR)
    if(ARG_${output})
      set(${ARG_${output}} "${made_${output}}" PARENT_SCOPE)
    endif()
  endforeach()
  if(ARG_TEST_DATA)
    _lathe_add_test(${target} ${ARG_PREFIX} "${made_OBJECT}" "${made_HEADER}" "${ARG_TEST_DATA}")
  endif()
endfunction()

# lathe_target_models(<existing target> PRIVATE <file>...): the models become part of the target; the header of a model and its
# prefix have the name of the file. PUBLIC and INTERFACE as in target_link_libraries.
function(lathe_target_models target scope)
  if(NOT scope MATCHES "^(PRIVATE|PUBLIC|INTERFACE)$")
    message(FATAL_ERROR "lathe_target_models(${target}): PRIVATE, PUBLIC or INTERFACE must stand before the files")
  endif()
  foreach(file IN LISTS ARGN)
    get_filename_component(name "${file}" NAME_WLE)
    string(MAKE_C_IDENTIFIER "${name}" prefix)
    lathe_add_model(${target}_${prefix} MODEL "${file}" TYPE OBJECT PREFIX ${prefix})
    target_link_libraries(${target} ${scope} ${target}_${prefix})
  endforeach()
endfunction()
