# codegen/: templates, schedules, LLVM, objects, linking. The only library that knows LLVM.
file(GLOB_RECURSE codegen_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/codegen/*.c)
add_library(lathe_codegen STATIC ${codegen_sources})
target_include_directories(lathe_codegen PUBLIC ${CMAKE_SOURCE_DIR})
target_link_libraries(lathe_codegen PUBLIC lathe_ir lathe_targets PRIVATE lathe_llvm PkgConfig::XXHASH ${CMAKE_DL_LIBS})
if(TARGET lathe_runtime_embed)
  target_link_libraries(lathe_codegen PUBLIC lathe_runtime_embed)
endif()
