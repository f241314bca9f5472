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

# The program: every other file of the folder.
file(GLOB lathe_program_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/*.c)
list(REMOVE_ITEM lathe_program_sources ${lathe_tools_base_sources})
add_executable(lathe ${lathe_program_sources})
target_link_libraries(lathe PRIVATE lathe_tools_base lathe_frontend lathe_passes lathe_codegen PkgConfig::JANSSON ${CMAKE_DL_LIBS})

# Reading JSON: the baseline of bench, and tests.
add_library(lathe_jansson INTERFACE)
target_link_libraries(lathe_jansson INTERFACE PkgConfig::JANSSON)
