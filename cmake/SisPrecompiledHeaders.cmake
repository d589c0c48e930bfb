# Precompiled headers of the standard library, nlohmann-json and GoogleTest for the sanitised build: reading them and
# instantiating their templates is more than a third of the compiler's work there.
#
# A source must still include what it uses. Each build without them tells: the optimised ones and the guest's, and the
# sanitised one where the compiler has a launcher, since a compiler cache knows a source by its preprocessed text.
include(CMakeDependentOption)
cmake_dependent_option(SIS_PRECOMPILED_HEADERS
  "Sanitised build for one run: precompiled headers, and debug information for backtraces alone" ON
  "SIS_TESTS;NOT SIS_GUEST;NOT CMAKE_CXX_COMPILER_LAUNCHER" OFF)

# sis_use_precompiled(TARGET FROM): compiles TARGET's sources with the headers of FROM, unless TARGET has options of its
# own by the end of the configuration: the headers would have to be compiled with the same.
function(sis_use_precompiled TARGET FROM)
  if(SIS_PRECOMPILED_HEADERS)
    set_property(TARGET ${TARGET} PROPERTY SIS_PRECOMPILED_FROM ${FROM})
    set_property(GLOBAL APPEND PROPERTY SIS_PRECOMPILED_USERS ${TARGET})
  endif()
endfunction()

function(sis_decide_precompiled)
  get_property(users GLOBAL PROPERTY SIS_PRECOMPILED_USERS)
  foreach(target IN LISTS users)
    get_target_property(options ${target} COMPILE_OPTIONS)
    get_target_property(from ${target} SIS_PRECOMPILED_FROM)
    if(NOT options)
      target_precompile_headers(${target} REUSE_FROM ${from})
    endif()
  endforeach()
endfunction()

# sis_precompile(NAME HEADERS header... LIBRARIES target...): a target whose headers others use.
function(sis_precompile NAME)
  cmake_parse_arguments(P "" "" "HEADERS;LIBRARIES" ${ARGN})
  file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/precompiled.cpp" CONTENT "")
  add_library(${NAME} OBJECT EXCLUDE_FROM_ALL "${CMAKE_BINARY_DIR}/precompiled.cpp")
  target_link_libraries(${NAME} PRIVATE sis_flags ${P_LIBRARIES})
  list(TRANSFORM P_HEADERS REPLACE "(.+)" "<\\1>")
  target_precompile_headers(${NAME} PRIVATE ${P_HEADERS})
endfunction()

# sis_headers for modules and fuzzers, sis_test_headers for tests.
macro(sis_precompile_headers)
  if(SIS_PRECOMPILED_HEADERS)
    find_package(nlohmann_json REQUIRED)
    set(headers algorithm array atomic chrono cstring deque expected filesystem fstream functional map memory optional
      random set span sstream string string_view thread vector nlohmann/json.hpp)
    sis_precompile(sis_headers HEADERS ${headers} LIBRARIES nlohmann_json::nlohmann_json)
    sis_precompile(sis_test_headers HEADERS ${headers} gmock/gmock.h gtest/gtest.h
      LIBRARIES nlohmann_json::nlohmann_json sis_googletest)
    cmake_language(DEFER DIRECTORY "${CMAKE_SOURCE_DIR}" CALL sis_decide_precompiled)
  endif()
endmacro()
