// What critical.hpp and cpu.hpp declare is defined in host/platform_host.cpp.
#pragma once
