# lathe_tools_base: everything of tools/ that needs no compiler (files, command line, progress, JSON), and the verbs that
# work without one. The program adds main.c and the other verbs.
set(lathe_tools_base_sources
  arguments.c cache.c cachefolder.c completion.c element.c file.c generate.c help.c image.c imagedecode.c inputs.c json.c
  npy.c npz.c options.c optionvalues.c outputs.c progress.c resize.c responsefile.c summary.c tensorfile.c tensorpb.c
  temporary.c verbhelp.c wav.c)
list(TRANSFORM lathe_tools_base_sources PREPEND ${CMAKE_SOURCE_DIR}/tools/)
add_library(lathe_tools_base STATIC ${lathe_tools_base_sources})
target_include_directories(lathe_tools_base PUBLIC ${CMAKE_SOURCE_DIR})
target_link_libraries(lathe_tools_base PUBLIC lathe_ir PkgConfig::PNG PkgConfig::JPEG PkgConfig::ZLIB m)
target_compile_definitions(lathe_tools_base PUBLIC LATHE_VERSION="${PROJECT_VERSION}")

# lathe-runner: measures candidates of lathe tune; plain C, so that it can be built for any machine. lathe carries the same code.
file(GLOB lathe_runner_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/runner/*.c)
add_executable(lathe-runner ${lathe_runner_sources})
target_include_directories(lathe-runner PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(lathe-runner PRIVATE Threads::Threads ${CMAKE_DL_LIBS} m)

# The tuner, without its verb.
file(GLOB lathe_tune_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/tune/*.c ${CMAKE_SOURCE_DIR}/tools/runner/*.c)
list(REMOVE_ITEM lathe_tune_sources ${CMAKE_SOURCE_DIR}/tools/runner/main.c)
add_library(lathe_tune STATIC ${lathe_tune_sources})
target_compile_definitions(lathe_tune PUBLIC LATHE_VERSION="${PROJECT_VERSION}")
target_link_libraries(lathe_tune PUBLIC lathe_tools_base lathe_codegen PkgConfig::JANSSON PkgConfig::SQLITE Threads::Threads ${CMAKE_DL_LIBS})

# The program: every other file of the folder.
file(GLOB lathe_program_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/*.c)
list(REMOVE_ITEM lathe_program_sources ${lathe_tools_base_sources})
add_executable(lathe ${lathe_program_sources})
target_link_libraries(lathe PRIVATE lathe_tune lathe_tools_base lathe_frontend lathe_passes lathe_codegen lathe_runtime PkgConfig::JANSSON ${CMAKE_DL_LIBS})

# Reading JSON: the baseline of bench, and tests.
add_library(lathe_jansson INTERFACE)
target_link_libraries(lathe_jansson INTERFACE PkgConfig::JANSSON)
