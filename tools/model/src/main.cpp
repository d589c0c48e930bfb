// sis-model: makes, signs and checks packages of models.
#include <exception>
#include <iostream>

#include "tools/model/commands.hpp"
#include "tools/model/options.hpp"

int main(int argc, char** argv) {
  using abi::ExitCode;
  try {
    const auto parsed = sis_model::parse_options(argc, argv);
    ExitCode code = parsed.exit_code;
    if (parsed.run) {
      code = sis_model::run_command(parsed.options, std::cout, std::cerr);
    } else {
      (code == ExitCode::Passed ? std::cout : std::cerr) << parsed.text;
    }
    // A full disk or a closed pipe: what was not printed was not reported.
    if (!std::cout.flush() && code == ExitCode::Passed) {
      std::cerr << "sis-model: cannot write to the standard output\n";
      code = ExitCode::Internal;
    }
    return static_cast<int>(code);
  } catch (const std::exception& error) {
    std::cerr << "sis-model: internal error: " << error.what() << "\n";
    return static_cast<int>(ExitCode::Internal);
  }
}
