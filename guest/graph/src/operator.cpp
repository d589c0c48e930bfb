#include "guest/graph/operator.hpp"

#include <charconv>

#include "guest/kernel/panic.hpp"

namespace guest::graph {
namespace {

constexpr std::string_view kBadParameter = "graph-bad-parameter";
constexpr std::string_view kStageNames[kStages] = {"acquire", "clean", "explore", "model", "explain"};

/// One of "a|b|c".
bool is_choice(std::string_view choices, std::string_view value) {
  while (!choices.empty()) {
    const std::size_t end = choices.find('|');
    if (choices.substr(0, end) == value) {
      return true;
    }
    choices = end == std::string_view::npos ? std::string_view() : choices.substr(end + 1);
  }
  return false;
}

/// Shown in errors: no more than anybody reads.
kernel::Escaped shown(std::string_view text) { return kernel::escaped(text.substr(0, 40)); }

}  // namespace

std::string_view to_string(Stage stage) {
  const auto index = static_cast<std::size_t>(stage);
  return index < kStages ? kStageNames[index] : "?";
}

std::optional<Stage> find_stage(std::string_view name) {
  for (std::uint8_t i = 0; i < kStages; ++i) {
    if (kStageNames[i] == name) {
      return Stage{i};
    }
  }
  return std::nullopt;
}

std::expected<Parameters, kernel::NamedError> Parameters::check(std::span<const ParameterSpec> specs,
                                                                std::span<const GivenParameter> given) {
  kernel::require(specs.size() <= kMaxParameters, "a kind of operators has too many parameters");
  Parameters checked;
  checked.specs_ = specs;
  for (const GivenParameter& parameter : given) {
    std::size_t index = 0;
    while (index < specs.size() && specs[index].name != parameter.name) {
      ++index;
    }
    if (index == specs.size()) {
      return kernel::fail(kBadParameter, "there is no parameter '{}' here", shown(parameter.name));
    }
    if (checked.values_[index].given) {
      return kernel::fail(kBadParameter, "parameter '{}' is given twice", specs[index].name);
    }
    if (const auto set = checked.set(index, parameter.value); !set) {
      return std::unexpected(set.error());
    }
  }
  for (std::size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].required && !checked.values_[i].given) {
      return kernel::fail(kBadParameter, "parameter '{}' is missing: {}", specs[i].name, specs[i].help);
    }
  }
  return checked;
}

std::expected<void, kernel::NamedError> Parameters::set(std::size_t index, std::string_view text) {
  const ParameterSpec& spec = specs_[index];
  Value& value = values_[index];
  if (spec.type == ParameterSpec::Type::Integer) {
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value.integer);
    if (error != std::errc() || rest != end || value.integer < spec.min || value.integer > spec.max) {
      return kernel::fail(kBadParameter, "parameter '{}' is '{}': expected {} to {}", spec.name, shown(text), spec.min,
                          spec.max);
    }
  } else if (spec.type == ParameterSpec::Type::Choice) {
    if (!is_choice(spec.choices, text)) {
      return kernel::fail(kBadParameter, "parameter '{}' is '{}': expected {}", spec.name, shown(text), spec.choices);
    }
    value.text.write(text);
  } else {
    if (text.size() > ParameterSpec::kMaxText || text.size() < static_cast<std::size_t>(spec.min) ||
        text.size() > static_cast<std::size_t>(spec.max)) {
      return kernel::fail(kBadParameter, "parameter '{}' has {} bytes: expected {} to {}", spec.name, text.size(),
                          spec.min, spec.max);
    }
    value.text.write(text);
  }
  value.given = true;
  return {};
}

std::size_t Parameters::index_of(std::string_view name) const {
  std::size_t index = 0;
  while (index < specs_.size() && specs_[index].name != name) {
    ++index;
  }
  kernel::require(index < specs_.size(), "an operator asks for a parameter that its kind does not have");
  return index;
}

std::int64_t Parameters::integer(std::string_view name) const {
  const std::size_t index = index_of(name);
  return values_[index].given ? values_[index].integer : specs_[index].fallback;
}

std::string_view Parameters::text(std::string_view name) const {
  const std::size_t index = index_of(name);
  const std::string_view choices = specs_[index].choices;
  return values_[index].given ? values_[index].text.view() : choices.substr(0, choices.find('|'));
}

bool Parameters::has(std::string_view name) const { return values_[index_of(name)].given; }

std::expected<TensorRef, kernel::NamedError> Firing::allocate(DType dtype, const Shape& shape) {
  auto tensor = arena_.allocate({.dtype = dtype,
                                 .shape = shape,
                                 .schema = schema_,
                                 .origin = origin_,
                                 .sequence = sequence_,
                                 .timestamp_ns = data_from_ns_});
  if (tensor) {
    return std::move(*tensor);
  }
  if (tensor.error() != kernel::Status::NoMemory) {
    return kernel::fail("graph-bad-tensor", "a tensor of {} with {} dimensions: {}", to_string(dtype), shape.rank,
                        to_string(tensor.error()));
  }
  const TensorStatistics statistics = arena_.statistics();
  return kernel::fail("graph-no-memory", "no room for a tensor of {} bytes: {} tensors, {} of {} bytes are in use",
                      bytes_of(dtype, shape).value_or(0), statistics.live, statistics.used_bytes,
                      statistics.memory_bytes);
}

void KindTable::add(std::span<const OperatorKind> kinds) {
  for (const OperatorKind& kind : kinds) {
    kernel::require(find(kind.name) == nullptr, "two kinds of operators have one name");
    kernel::require(kind.parameters.size() <= Parameters::kMaxParameters && kind.max_inputs <= kMaxPorts &&
                        kind.max_outputs <= kMaxPorts && kind.make != nullptr,
                    "a kind of operators has too many parameters or ports");
  }
  kernel::require(lists_.push_back(kinds), "too many lists of kinds of operators");
}

const OperatorKind* KindTable::find(std::string_view name) const {
  for (const std::span<const OperatorKind> list : lists_) {
    for (const OperatorKind& kind : list) {
      if (kind.name == name) {
        return &kind;
      }
    }
  }
  return nullptr;
}

}  // namespace guest::graph
