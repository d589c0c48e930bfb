# Fails if a library has weak symbols (inline functions, templates) of its own: the linker may choose its copy of one for
# every other module, too, which must not be when it was built with FP registers.
#
# usage: cmake -D NM=nm -D LIBRARY=file -P check_own_code.cmake
execute_process(COMMAND ${NM} --defined-only -C ${LIBRARY} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]* [VWu] [^\n]*" shared "${symbols}")
if(shared)
  string(REPLACE ";" "\n" shared "${shared}")
  message(FATAL_ERROR "${LIBRARY} shares code with other modules:\n${shared}")
endif()
