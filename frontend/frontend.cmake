# The ONNX reader: the schema becomes descriptors (protoc-c), the rest is ours.
set(frontend_generated ${CMAKE_BINARY_DIR}/generated/frontend)
file(MAKE_DIRECTORY ${frontend_generated})
add_custom_command(
  OUTPUT ${frontend_generated}/onnx.pb-c.c ${frontend_generated}/onnx.pb-c.h
  COMMAND ${PROTOC_C} --c_out=${frontend_generated} --proto_path=${CMAKE_SOURCE_DIR}/frontend ${CMAKE_SOURCE_DIR}/frontend/onnx.proto
  DEPENDS ${CMAKE_SOURCE_DIR}/frontend/onnx.proto
  VERBATIM)

file(GLOB frontend_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/frontend/*.c)
add_library(lathe_frontend STATIC ${frontend_sources} ${frontend_generated}/onnx.pb-c.c ${frontend_generated}/onnx.pb-c.h)
set_source_files_properties(${frontend_generated}/onnx.pb-c.c PROPERTIES COMPILE_OPTIONS -w)
target_include_directories(lathe_frontend PUBLIC ${CMAKE_SOURCE_DIR} ${frontend_generated})
target_link_libraries(lathe_frontend PUBLIC lathe_ir PkgConfig::PROTOBUF_C ${GCRYPT_LIBRARY})
