/* The cross compiler's C++ headers are configured for glibc and ask for its version: there is none. */
#pragma once
#define __GLIBC_PREREQ(major, minor) 0
