// Commands: one table for the shell and for the control server.
//
//   shell words  --parse_words()--> Arguments --handler--> ResultMap (CBOR) --renderer--> text
//   CBOR map     --parse_map()----> Arguments --handler--> ResultMap (CBOR) ------------> reply
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "abi/control.hpp"
#include "guest/control/cbor.hpp"
#include "guest/kernel/format.hpp"

namespace guest::control {

struct Services;

/// Why a command was not carried out.
struct Refusal {
  std::string_view code;           ///< of abi::control::error
  kernel::FixedText<32> field;     ///< the argument that is at fault; empty: none
  kernel::FixedText<192> message;  ///< what was given, what is allowed; untrusted parts escaped
  /// When it would not have been refused, by the kernel's clock, if nobody else comes before; 0: nobody knows, or
  /// never.
  std::uint64_t fits_at_ns = 0;
};

/// `return refuse(error::kBadArgument, "code", "{} is too large", n);`
template <typename... Args>
std::unexpected<Refusal> refuse(std::string_view code, std::string_view field,
                                kernel::format_detail::Checked<Args...> format, const Args&... args) {
  std::unexpected<Refusal> result(Refusal{.code = code, .field = {}, .message = {}});
  kernel::write_escaped(result.error().field, field);
  kernel::format_to<Args...>(result.error().message, format, args...);
  return result;
}

enum class ArgumentType : std::uint8_t {
  Integer,  ///< 0 or more
  Bool,     ///< in the shell: yes, no, true, false
  Text,
  TextOrBytes,  ///< in a control request either; in the shell text
  Choice,
  /// A number with up to three digits behind the point, in thousandths: number(). In a control request a text, or an
  /// integer, since CBOR's floating point is not taken. In the shell as it is.
  Decimal,
  Words,  ///< text; in the shell the rest of the line's words, joined by blanks. Last argument only
};

/// "integer", "bool", "text", "text-or-bytes", "choice", "decimal", "words".
std::string_view to_string(ArgumentType type);

struct ArgumentSpec {
  std::string_view name;
  ArgumentType type;
  bool required = false;
  /// Integer and Decimal: smallest and largest value; of a Decimal in thousandths. Text, TextOrBytes and Words: length
  /// in bytes.
  std::uint64_t min = 0;
  std::uint64_t max = 0;
  std::string_view choices = {};  ///< Choice: "quiet|info|debug"
  std::string_view help = {};
};

inline constexpr std::size_t kMaxArguments = 20;

/// The checked arguments of one call. Texts are views into what was parsed.
class Arguments {
 public:
  explicit Arguments(std::span<const ArgumentSpec> specs) : specs_(specs) {}

  /// `name` must be in the command's specs.
  [[nodiscard]] bool has(std::string_view name) const { return slot(name).given; }
  [[nodiscard]] std::uint64_t number(std::string_view name, std::uint64_t fallback = 0) const;
  [[nodiscard]] std::string_view text(std::string_view name, std::string_view fallback = {}) const;
  [[nodiscard]] bool flag(std::string_view name, bool fallback = false) const;
  /// A TextOrBytes that was given as bytes; text() returns them as they are.
  [[nodiscard]] bool is_bytes(std::string_view name) const { return slot(name).is_bytes; }

  /// From the shell: positional in the order of the specs, or --name VALUE, or --name=VALUE; --name alone is a Bool's
  /// yes. After a word "--" all are positional. `scratch` keeps joined words; it must be as long as all words and live
  /// as long as the result.
  static std::expected<Arguments, Refusal> parse_words(std::span<const ArgumentSpec> specs,
                                                       std::span<const std::string_view> words,
                                                       std::span<char> scratch);
  /// From a control request: a checked map, or nothing.
  static std::expected<Arguments, Refusal> parse_map(std::span<const ArgumentSpec> specs,
                                                     const std::optional<CborValue>& map);

 private:
  struct Slot {
    bool given = false;
    bool is_bytes = false;
    std::uint64_t number = 0;  ///< Integer, Decimal; Bool: 0 or 1
    std::string_view text;
  };
  [[nodiscard]] const Slot& slot(std::string_view name) const;
  std::expected<void, Refusal> set_text(std::size_t index, std::string_view value);
  std::expected<void, Refusal> set_number(std::size_t index, std::uint64_t value);
  std::expected<void, Refusal> set_decimal(std::size_t index, std::string_view word);
  std::expected<void, Refusal> set_bool(std::size_t index, bool value);
  std::expected<void, Refusal> set_value(std::size_t index, const CborValue& value);
  std::expected<void, Refusal> set_word(std::size_t index, std::string_view word);
  std::expected<void, Refusal> check_required() const;

  std::span<const ArgumentSpec> specs_;
  std::array<Slot, kMaxArguments> slots_{};
};

/// The map that a command answers with. Counts its entries; finish() closes it.
class ResultMap {
 public:
  explicit ResultMap(CborWriter& writer) : writer_(writer), token_(writer.begin_map()) {}
  ResultMap(const ResultMap&) = delete;
  ResultMap& operator=(const ResultMap&) = delete;

  void add(std::string_view key, std::uint64_t value) { key_for(key).number(value); }
  void add(std::string_view key, std::string_view value) { key_for(key).text(value); }
  void add_bool(std::string_view key, bool value) { key_for(key).boolean(value); }
  /// Writes the key; the caller writes exactly one value behind it.
  CborWriter& key_for(std::string_view key) {
    ++count_;
    writer_.text(key);
    return writer_;
  }
  void finish() { writer_.end(token_, count_); }

 private:
  CborWriter& writer_;
  std::size_t token_;
  std::size_t count_ = 0;
};

/// Work of a command that answers later. Owns itself.
class Operation {
 public:
  /// Nobody wants the answer any more. The operation ends without calling its caller again.
  virtual void cancel() = 0;
  /// There is room for events, of which Caller had none when it was asked last. Only says so to others: no event is
  /// sent, and the operation does not end, before this has returned.
  virtual void on_room() {}

 protected:
  ~Operation() = default;
};

/// Who issued a command, and waits for its answer. Used from the main loop only.
class Caller {
 public:
  /// The answer of an operation: an encoded map, or why there is none. One of the two, once, unless it was cancelled.
  /// The caller may be gone when the call returns.
  virtual void complete(std::span<const std::byte> result) = 0;
  virtual void fail(const Refusal& refusal) = 0;
  /// Called by a handler that returns Handled::Later, before it returns.
  virtual void defer(Operation& operation) = 0;
  /// An event can be sent now. False: Operation::on_room() follows, unless the caller is about to cancel.
  virtual bool has_room() = 0;
  /// An event of an operation, an encoded map, which is copied: after defer(), before the answer, and not while the
  /// handler runs. False: there is no room, and nothing was sent; or there is no memory, then on_room() may never come.
  [[nodiscard]] virtual bool emit(std::span<const std::byte> event) = 0;

 protected:
  ~Caller() = default;
};

enum class Handled : std::uint8_t {
  Now,    ///< the result is complete
  Later,  ///< an operation was handed to the caller; the result map is not used
};

using Handler = std::expected<Handled, Refusal> (*)(Services& services, const Arguments& arguments, Caller& caller,
                                                    ResultMap& result);
/// Writes the result for a person. Values are the machine's or the user's: they are escaped by the renderer.
using Renderer = void (*)(kernel::TextOutput& output, const CborValue& result);

/// Where a command is offered.
enum class Where : std::uint8_t { Everywhere, ControlOnly };

struct Command {
  std::string_view name;
  std::string_view help;     ///< one line
  std::string_view details;  ///< more lines for `help NAME`; may be empty
  std::span<const ArgumentSpec> arguments;
  abi::control::Rights rights;
  Handler handler;
  Renderer render = nullptr;  ///< null: render_map()
  Where where = Where::Everywhere;
  /// Of a command that sends events before it answers: writes one of them. Such a command has an argument `count`, and
  /// does not end by itself without it, unless `ends`. Null: it sends none.
  Renderer render_event = nullptr;
  /// Typed on the console without arguments it is run again and again, its result shown in place, until it is ended. It
  /// completes later, or that would be without end.
  bool watched = false;
  /// It sends events, has no argument `count`, and ends by itself.
  bool ends = false;
  /// Done it leaves no record in the audit log, whatever rights it needs: it reads what is its caller's own and may be
  /// asked again and again, or goes on with a call that leaves a record itself.
  bool unrecorded = false;
  /// What it is given is secret: the shell's history does not show lines in which it is.
  bool secret = false;
};

/// The rights for which the audit log has a record when it is done.
constexpr abi::control::Rights recorded_rights(const Command& command) {
  return command.unrecorded ? abi::control::Rights::None : command.rights;
}

/// The command of that name, or null.
const Command* find_command(std::string_view name);
/// The command that a line begins with: names are one word or two, "graph show". Nothing: there is none; it is said
/// in `words`, which are not empty, how many words the name has.
struct FoundCommand {
  const Command* command;
  std::size_t words;
};
std::optional<FoundCommand> find_command(std::span<const std::string_view> words);
std::span<const Command> command_table();

/// Writes "NAME [ARGUMENT]..." with the arguments as they are typed in the shell.
void write_usage(kernel::TextOutput& output, const Command& command);

/// Writes text, which is valid UTF-8, with its control characters as \\n, \\t or \\xHH. It may not be told from text
/// that looks like such an escape; use kernel::write_escaped() where that matters.
void write_visible(kernel::TextOutput& output, std::string_view text);

/// "key: value" lines; maps and arrays inside are indented. Control characters of texts are escaped.
void render_map(kernel::TextOutput& output, const CborValue& map);
/// The entries of a map that are no containers, "key=value" side by side, and the line's end.
void render_beside(kernel::TextOutput& output, const CborValue& map);

}  // namespace guest::control
