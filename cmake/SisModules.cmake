# One folder, one target, declared dependencies. A module's public headers lie in <folder>/include and
# are included by their full path from the root of the tree ("vmm/base/result.hpp").
#
#   sis_module(NAME [FLOATING_POINT] SOURCES a.cpp ... [DEPENDS public...] [PRIVATE_DEPENDS ...])
#   sis_test(NAME [SEPARATE] SOURCES a_test.cpp ... DEPENDS ...)   GoogleTest, registered with CTest
#   sis_fuzzer(NAME SOURCES fuzz.cpp DEPENDS ... [CORPUS dir])   libFuzzer
#
# FLOATING_POINT: a module of the guest that may use FP registers, which only threads may. What it shares with other
# modules as inline functions would carry them there, so it may have none (check_own_code.cmake).
#
# Where headers are precompiled, the sources of a test are compiled as one: each would instantiate GoogleTest's and
# nlohmann-json's templates anew, which is nine tenths of the time. SEPARATE: they use names twice, so each is compiled alone.

include(SisPrecompiledHeaders)

add_library(sis_flags INTERFACE)
target_compile_options(sis_flags INTERFACE
  $<$<COMPILE_LANGUAGE:C,CXX>:-Wall -Wextra -Werror -Wconversion -Wshadow -Wcast-align -Wcast-qual
    -Wformat=2 -Wundef -Wpointer-arith -Wvla -Wimplicit-fallthrough -Wdouble-promotion>
  $<$<COMPILE_LANGUAGE:CXX>:-Wold-style-cast -Wnon-virtual-dtor -Woverloaded-virtual
    -Wextra-semi -Wsuggest-override>)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # Misreports "literal" + std::string when it is inlined (GCC bug 105329).
  target_compile_options(sis_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()

if(SIS_GUEST)
  # No FP or SIMD registers in kernel code: an interrupt handler must not clobber them.
  target_compile_options(sis_flags INTERFACE
    -ffreestanding -fno-pie -fno-common -fno-strict-aliasing -ffunction-sections -fdata-sections
    $<$<NOT:$<BOOL:$<TARGET_PROPERTY:SIS_FLOATING_POINT>>>:-mgeneral-regs-only>
    -mstrict-align -mno-outline-atomics -mbranch-protection=standard
    -fstack-protector-strong -fno-omit-frame-pointer -fno-asynchronous-unwind-tables -g
    "-ffile-prefix-map=${CMAKE_SOURCE_DIR}/="
    $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-use-cxa-atexit>)
  target_compile_definitions(sis_flags INTERFACE _GLIBCXX_ASSERTIONS)
else()
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
  # Lines for backtraces; all that a debugger knows takes a third of an optimised build's time.
  target_compile_options(sis_flags INTERFACE -fstack-protector-strong
    $<IF:$<AND:$<CONFIG:Debug>,$<NOT:$<BOOL:${SIS_PRECOMPILED_HEADERS}>>>,-g,-g1>
    "-ffile-prefix-map=${CMAKE_SOURCE_DIR}/="
    $<$<NOT:$<BOOL:${SIS_SANITIZE}>>:-U_FORTIFY_SOURCE>
    $<$<NOT:$<BOOL:${SIS_SANITIZE}>>:-D_FORTIFY_SOURCE=2>)
  target_compile_definitions(sis_flags INTERFACE _GLIBCXX_ASSERTIONS)
  if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    target_link_options(sis_flags INTERFACE -Wl,-z,relro,-z,now -Wl,-z,noexecstack)
  endif()
  if(SIS_SANITIZE)
    set(SIS_SANITIZERS -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_compile_options(sis_flags INTERFACE ${SIS_SANITIZERS})
    target_link_options(sis_flags INTERFACE ${SIS_SANITIZERS})
  endif()
  if(SIS_TESTS)
    target_compile_options(sis_flags INTERFACE -fsanitize=fuzzer-no-link)
    if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
      # Links a test in a quarter of the time that GNU ld takes.
      target_link_options(sis_flags INTERFACE -fuse-ld=lld)
    endif()
  endif()
  if(SIS_PRECOMPILED_HEADERS)
    # Modules and programs must have the same flags to share them, and all modules end in programs.
    target_compile_options(sis_flags INTERFACE -fPIE)
  endif()
  if(SIS_STATIC)
    add_link_options($<$<LINK_LANGUAGE:CXX>:-static-pie>)
    # What is not used would be relocated at each start all the same.
    target_compile_options(sis_flags INTERFACE -ffunction-sections -fdata-sections)
    target_link_options(sis_flags INTERFACE -Wl,--gc-sections)
    # What only errors execute goes to sections of its own, as GCC does by itself for x86: of a start's code (startup.ld)
    # it would be half.
    target_compile_options(sis_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-freorder-blocks-and-partition>)
  else()
    add_link_options($<$<LINK_LANGUAGE:CXX>:-pie>)
  endif()
endif()

function(sis_module NAME)
  cmake_parse_arguments(M "FLOATING_POINT" "" "SOURCES;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  if(M_SOURCES)
    add_library(${NAME} STATIC ${M_SOURCES})
    target_include_directories(${NAME} PUBLIC include PRIVATE .)
    target_link_libraries(${NAME} PUBLIC ${M_DEPENDS} PRIVATE sis_flags ${M_PRIVATE_DEPENDS})
    sis_use_precompiled(${NAME} sis_headers)
  else()
    add_library(${NAME} INTERFACE)
    target_include_directories(${NAME} INTERFACE include)
    target_link_libraries(${NAME} INTERFACE ${M_DEPENDS})
  endif()
  if(M_FLOATING_POINT)
    set_target_properties(${NAME} PROPERTIES SIS_FLOATING_POINT ON)
    # The same results on every machine; no errno, so that a square root is an instruction.
    target_compile_options(${NAME} PRIVATE -ffp-contract=off -fno-math-errno)
    if(SIS_GUEST)
      add_custom_command(TARGET ${NAME} POST_BUILD
        COMMAND ${CMAKE_COMMAND} -D NM=${CMAKE_NM} -D LIBRARY=$<TARGET_FILE:${NAME}>
                -P "${CMAKE_SOURCE_DIR}/cmake/check_own_code.cmake")
    endif()
  endif()
endfunction()

if(SIS_TESTS AND NOT SIS_GUEST)
  enable_testing()
  find_package(GTest REQUIRED)
  # GoogleTest would include <cxxabi.h> to print type names; its namespace alias `abi` collides with ours.
  add_library(sis_googletest INTERFACE)
  target_compile_definitions(sis_googletest INTERFACE GTEST_HAS_CXXABI_H_=0)
  target_link_libraries(sis_googletest INTERFACE GTest::gtest_main GTest::gmock)
endif()
sis_precompile_headers()

function(sis_test NAME)
  if(NOT SIS_TESTS OR SIS_GUEST)
    return()
  endif()
  cmake_parse_arguments(T "SEPARATE" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${NAME} ${T_SOURCES})
  if(SIS_PRECOMPILED_HEADERS AND NOT T_SEPARATE)
    set_target_properties(${NAME} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 0)
  endif()
  target_link_libraries(${NAME} PRIVATE sis_flags ${T_DEPENDS} sis_googletest)
  sis_use_precompiled(${NAME} sis_test_headers)
  add_test(NAME ${NAME} COMMAND ${NAME} --gtest_brief=1)
  set_tests_properties(${NAME} PROPERTIES TIMEOUT 300 LABELS unit)
endfunction()

function(sis_fuzzer NAME)
  if(NOT SIS_TESTS OR SIS_GUEST)
    return()
  endif()
  cmake_parse_arguments(F "" "CORPUS" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${NAME} ${F_SOURCES})
  target_link_libraries(${NAME} PRIVATE sis_flags ${F_DEPENDS} -fsanitize=fuzzer)
  sis_use_precompiled(${NAME} sis_headers)
  set(corpus "")
  if(F_CORPUS)
    set(corpus "${CMAKE_CURRENT_SOURCE_DIR}/${F_CORPUS}")
  endif()
  # The first folder is where new inputs go; the seeds in the tree are only read.
  file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/corpus/${NAME}")
  add_test(NAME ${NAME} COMMAND sh -c
           "exec \"$0\" -max_total_time=\${SIS_FUZZ_SECONDS:-2} -print_final_stats=1 \"$@\""
           $<TARGET_FILE:${NAME}> "${CMAKE_BINARY_DIR}/corpus/${NAME}" ${corpus})
  set_tests_properties(${NAME} PROPERTIES LABELS fuzz)
endfunction()
