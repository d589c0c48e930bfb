#include "tools/guest_words.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <limits>

#include "abi/control.hpp"
#include "tools/text.hpp"

namespace sisctl {
namespace {

using nlohmann::json;

std::unexpected<Failure> usage(const std::string& message) {
  return std::unexpected(Failure{.exit_code = ExitCode::Usage, .kind = "usage", .message = message});
}

/// What "@FILE" stands for.
Outcome<json> bytes_of(const std::string& name, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return read_bytes(file, name, "'" + printable(path) + "'");
}

/// A word as the guest wants it. Ranges and choices are the guest's to check.
Outcome<json> value_of(const std::string& name, const std::string& type, const std::string& word) {
  if (type == "integer") {
    std::uint64_t number = 0;
    const char* const end = word.data() + word.size();
    const auto [rest, error] = std::from_chars(word.data(), end, number);
    if (error != std::errc() || rest != end) {
      return usage(name + ": found '" + printable(word) + "', allowed: an integer from 0 to " +
                   std::to_string(std::numeric_limits<std::uint64_t>::max()));
    }
    return number;
  }
  if (type == "bool") {
    if (word == "yes" || word == "true") return true;
    if (word == "no" || word == "false") return false;
    return usage(name + ": found '" + printable(word) + "', allowed: yes or no");
  }
  if (type == "text-or-bytes" && word.starts_with("@")) return bytes_of(name, word.substr(1));
  return word;
}

struct Spec {
  std::string name;
  std::string type;
};

/// What the guest says need not be what it should.
Outcome<std::vector<Spec>> specs_of(const std::string& op, const json& help) {
  const auto arguments = help.find("arguments");
  std::vector<Spec> specs;
  if (help.is_object() && arguments == help.end()) return specs;
  const auto text = [](const json& map, const char* key) {
    const auto found = map.is_object() ? map.find(key) : map.end();
    return found != map.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  if (help.is_object() && arguments->is_array()) {
    for (const json& argument : *arguments) {
      specs.push_back({.name = text(argument, "name"), .type = text(argument, "type")});
    }
  }
  if (specs.empty() ||
      std::ranges::any_of(specs, [](const Spec& spec) { return spec.name.empty() || spec.type.empty(); })) {
    return std::unexpected(Failure{.exit_code = ExitCode::Protocol,
                                   .kind = "protocol",
                                   .message = "the guest does not say which arguments '" + printable(op) + "' has"});
  }
  return specs;
}

std::string names_of(const std::vector<Spec>& specs) {
  std::string names;
  for (const Spec& spec : specs) names += (names.empty() ? "" : ", ") + spec.name;
  return names.empty() ? "none" : names;
}

class Words {
 public:
  Words(std::string op, const std::vector<Spec>& specs) : op_(std::move(op)), specs_(specs) {}

  Outcome<json> take(const std::vector<std::string>& words, std::size_t from) {
    for (std::size_t i = from; i < words.size(); ++i) {
      if (only_positional_ || !words[i].starts_with("--")) {
        if (auto set = set_next(words[i]); !set) return std::unexpected(set.error());
      } else if (words[i] == "--") {
        only_positional_ = true;
      } else {
        const std::size_t equals = words[i].find('=');
        const std::string name = words[i].substr(2, equals == std::string::npos ? equals : equals - 2);
        if (equals == std::string::npos && is_flag(name) && (i + 1 == words.size() || words[i + 1].starts_with("--"))) {
          if (auto set = set_named(name, "yes"); !set) return std::unexpected(set.error());
          continue;
        }
        if (auto known = named(name); !known) return std::unexpected(known.error());
        if (equals == std::string::npos && i + 1 == words.size()) return usage("--" + printable(name) + ": no value");
        const std::string value = equals == std::string::npos ? words[++i] : words[i].substr(equals + 1);
        if (auto set = set_named(name, value); !set) return std::unexpected(set.error());
      }
    }
    return std::move(args_);
  }

 private:
  Outcome<void> set(const Spec& spec, const std::string& word) {
    auto value = value_of(spec.name, spec.type, word);
    if (!value) return std::unexpected(value.error());
    // Of this type the last argument takes all that follows.
    if (spec.type == "words" && args_.contains(spec.name)) {
      args_[spec.name] = args_[spec.name].get<std::string>() + " " + word;
      return {};
    }
    if (args_.contains(spec.name)) return usage(spec.name + " is given twice");
    args_[spec.name] = std::move(*value);
    return {};
  }

  Outcome<void> set_next(const std::string& word) {
    for (const Spec& spec : specs_) {
      if (!args_.contains(spec.name) || spec.type == "words") return set(spec, word);
    }
    return usage("'" + printable(word) + "' is one argument too many: '" + op_ + "' has " + names_of(specs_));
  }

  /// Of names with '_' people write '-', as of other programs' options.
  [[nodiscard]] auto find(std::string name) const {
    auto spec = std::ranges::find(specs_, name, &Spec::name);
    if (spec != specs_.end()) return spec;
    std::ranges::replace(name, '-', '_');
    return std::ranges::find(specs_, name, &Spec::name);
  }

  [[nodiscard]] bool is_flag(const std::string& name) const {
    const auto spec = find(name);
    return spec != specs_.end() && spec->type == "bool";
  }

  [[nodiscard]] Outcome<const Spec*> named(const std::string& name) const {
    const auto spec = find(name);
    if (spec == specs_.end()) {
      return usage("--" + printable(name) + ": '" + op_ + "' has no such argument, allowed: " + names_of(specs_));
    }
    return &*spec;
  }

  Outcome<void> set_named(const std::string& name, const std::string& word) {
    const auto spec = named(name);
    return spec ? set(**spec, word) : Outcome<void>(std::unexpected(spec.error()));
  }

  std::string op_;
  const std::vector<Spec>& specs_;
  json args_ = json::object();
  bool only_positional_ = false;
};

}  // namespace

Outcome<json> read_bytes(std::istream& input, const std::string& name, const std::string& what) {
  std::vector<std::uint8_t> bytes(abi::control::kMaxPayloadBytes + 1);
  input.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));  // bytes are bytes
  const auto size = static_cast<std::size_t>(input.gcount());
  if (!input.eof()) {
    return usage(name + ": " +
                 (size == bytes.size()
                      ? what + " is longer than " + std::to_string(abi::control::kMaxPayloadBytes) + " bytes"
                      : "cannot read " + what));
  }
  bytes.resize(size);
  return json::binary(std::move(bytes));
}

Outcome<Request> request_of(const std::vector<std::string>& words, const AskHelp& ask_help) {
  std::size_t used = std::min<std::size_t>(words.size(), 2);
  std::string op = used == 2 ? words[0] + " " + words[1] : words[0];
  auto help = ask_help(op);
  // The second word may be an argument, and as such no name of a command, or longer than one may be.
  if (used == 2 && !help && (help.error().code == "not-found" || help.error().code == "bad-argument")) {
    auto of_one = ask_help(words[0]);
    if (of_one || of_one.error().code != "not-found") {
      help = std::move(of_one);
      op = words[0];
      used = 1;
    }
  }
  if (!help) return std::unexpected(help.error());
  const auto specs = specs_of(op, *help);
  if (!specs) return std::unexpected(specs.error());
  auto args = Words(op, *specs).take(words, used);
  if (!args) return std::unexpected(args.error());
  return Request{.op = op, .args = std::move(*args)};
}

}  // namespace sisctl
