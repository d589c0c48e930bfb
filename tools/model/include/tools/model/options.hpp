// The command line of sis-model.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "abi/exit_code.hpp"

namespace sis_model {

struct Keygen {
  std::string name;  ///< NAME.key and NAME.pub are written
  bool force = false;
};
struct Hash {
  std::string file;
};
struct Sign {
  std::string model;
  std::string key;  ///< file of the secret key
  std::uint32_t revision = 0;
  std::uint64_t wcet_cycles = 0;
  std::string id = {};      ///< empty: the model file's name without its ending
  std::string name = {};    ///< empty: general.name of the model, or the id
  std::string output = {};  ///< empty: beside the model
  bool force = false;
};
struct Verify {
  std::string model;
  std::string signature = {};      ///< empty: beside the model
  std::string public_key;          ///< hexadecimal, or @FILE
  std::string id = {};             ///< empty: the model file's name without its ending
  std::uint32_t min_revision = 0;  ///< 0: any
};
struct Inspect {
  std::string file;  ///< a manifest or a model
};

struct Options {
  std::variant<Keygen, Hash, Sign, Verify, Inspect> command;
  bool json = false;
};

/// What came of the arguments: options to run with, or a text to print and an exit code.
struct Parsed {
  bool run = false;
  Options options;
  std::string text;
  abi::ExitCode exit_code = abi::ExitCode::Passed;
};

Parsed parse_options(int argc, const char* const* argv);

}  // namespace sis_model
