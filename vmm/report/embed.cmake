# Writes the parts of the page as constants of a C++ source.
#
# usage: cmake -D OUTPUT=file.cpp -D FRAME=page.html -D STYLE=style.css -D LIBRARY=library.js -D SCRIPT="a.js;b.js" -P embed.cmake

function(part NAME FILES)
  set(text "")
  foreach(file IN LISTS FILES)
    file(READ "${file}" content)
    # Browsers with developer tools would ask the network for it.
    string(REGEX REPLACE "//# sourceMappingURL=[^\n]*\n?" "" content "${content}")
    string(APPEND text "${content}")
  endforeach()
  string(TOLOWER "${text}" lower)
  string(FIND "${lower}" "</script" closing)
  string(FIND "${text}" ")sis\"" delimiter)
  if((NOT closing EQUAL -1 AND NOT NAME STREQUAL "kFrame") OR NOT delimiter EQUAL -1)
    message(FATAL_ERROR "${FILES}: has a text that ends a script element, or the constant that it becomes")
  endif()
  set(source "${source}extern const std::string_view ${NAME};\nconst std::string_view ${NAME} = R\"sis(${text})sis\";\n" PARENT_SCOPE)
endfunction()

set(source "// Made by vmm/report/embed.cmake.\n#include <string_view>\n\nnamespace vmm::report {\n")
part(kFrame "${FRAME}")
part(kStyle "${STYLE}")
part(kLibrary "${LIBRARY}")
part(kScript "${SCRIPT}")
file(WRITE "${OUTPUT}" "${source}}  // namespace vmm::report\n")
