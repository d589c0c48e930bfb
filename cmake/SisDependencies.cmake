# Libraries that host and guest share, as targets: dep_fdt, dep_sodium. Host-only libraries are found by the module
# that uses them (sis_dependency, find_package).
#
# In the guest, and with SIS_STATIC, they are the packages' static archives; for a foreign processor in the private
# sysroot.

# With SHARED the library is a shared one also with SIS_STATIC, for programs that are not static.
function(sis_dependency NAME HEADER LIBRARY)
  if(SIS_GUEST)
    set(search HINTS "${SIS_SYSROOT}/usr" NO_DEFAULT_PATH PATH_SUFFIXES include lib/aarch64-linux-gnu)
    set(file "lib${LIBRARY}.a")
  else()
    set(search "")
    set(file ${LIBRARY})
    if(SIS_STATIC AND NOT "SHARED" IN_LIST ARGN)
      set(file "lib${LIBRARY}.a")
    endif()
  endif()
  find_path(${NAME}_INCLUDE ${HEADER} ${search} REQUIRED)
  find_library(${NAME}_LIBRARY NAMES ${file} ${search} REQUIRED)
  add_library(${NAME} INTERFACE IMPORTED GLOBAL)
  target_include_directories(${NAME} SYSTEM INTERFACE "${${NAME}_INCLUDE}")
  target_link_libraries(${NAME} INTERFACE "${${NAME}_LIBRARY}")
endfunction()

sis_dependency(dep_fdt libfdt.h fdt)
sis_dependency(dep_sodium sodium.h sodium)
