// sisctl: the command line for a running guest.
#include <unistd.h>

#include <exception>
#include <iostream>

#include "tools/commands.hpp"
#include "tools/options.hpp"

int main(int argc, char** argv) {
  using sisctl::ExitCode;
  try {
    const auto parsed = sisctl::parse_options(argc, argv);
    ExitCode code = parsed.exit_code;
    if (parsed.run) {
      code = sisctl::run_command(parsed.options, std::cout, std::cerr, isatty(STDOUT_FILENO) != 0);
    } else {
      (code == ExitCode::Ok ? std::cout : std::cerr) << parsed.text;
    }
    // A full disk or a closed pipe: what was not printed was not reported.
    if (!std::cout.flush() && code == ExitCode::Ok) {
      std::cerr << "sisctl: cannot write to the standard output\n";
      code = ExitCode::NoReply;
    }
    return static_cast<int>(code);
  } catch (const std::exception& error) {
    std::cerr << "sisctl: internal error: " << error.what() << "\n";
    return static_cast<int>(ExitCode::Protocol);
  }
}
