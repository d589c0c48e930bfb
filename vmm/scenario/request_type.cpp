#include "abi/control.hpp"
#include "condition_type.hpp"
#include "format.hpp"
#include "section.hpp"

namespace vmm::scenario {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""h;

Position place_of(const Node& node, std::string_view key) {
  const auto entry = std::ranges::find(node.entries, key, &Node::Entry::key);
  return entry == node.entries.end() ? node.at : entry->at;
}

/// A reply is {status, result} or {status, code, message, field}: an expectation on a field that the wanted kind of
/// reply never has could only fail.
void check_expect(Problems& problems, const std::string& key, const Node& expect, const Request& request) {
  if (request.error_code && !request.expect_error) {
    problems.add(place_of(expect, "code"), key + ".code", quote(*request.error_code),
                 "code only beside \"status: error\"");
  }
  const Node* reply = value_of(expect, "reply");
  for (const ReplyExpectation& expectation : request.expect) {
    const std::string first = expectation.path.substr(0, expectation.path.find('.'));
    const bool of_error = first == "code" || first == "message" || first == "field";
    if (first == "status" || of_error == request.expect_error) continue;
    problems.add(place_of(*reply, expectation.path), key + ".reply", quote(expectation.path),
                 request.expect_error ? "status, code, message or field, since the reply is an error"
                                      : "status or result; code, message and field come with \"status: error\"");
  }
}

void check_request(Problems& problems, const std::string& key, const Node& node, Request& request) {
  request.line = node.at.line;
  if (const Node* expect = value_of(node, "expect")) check_expect(problems, key + ".expect", *expect, request);
  static constexpr std::size_t kIdBytes = 4;
  const Json call = {{"op", request.op}, {"args", request.args}};
  const std::size_t bytes = Json::to_cbor(call).size() + kIdBytes;
  if (bytes > abi::control::kMaxPayloadBytes) {
    problems.add(place_of(node, "args"), key + ".args", "a request of " + std::to_string(bytes) + " bytes",
                 "at most " + std::to_string(abi::control::kMaxPayloadBytes) + " bytes as CBOR");
  }
}

TypePtr<Request> expect_type() {
  const auto path = text({.max_bytes = limit::kKeyBytes,
                          .pattern = R"((status|result|code|message|field)(\.[^.]+)*)",
                          .words = "a dotted path that starts with status, result, code, message or field"});
  return section<Request>({
      option("status", &Request::expect_error, choice<bool>({{"ok", false}, {"error", true}}),
             "Whether the guest must do the request or refuse it."),
      option("code", &Request::error_code,
             maybe(text({.max_bytes = 64,
                         .pattern = "[a-z][a-z0-9-]*",
                         .words = "an error code of a-z 0-9 -, as \"unknown-op\""})),
             "With \"status: error\": the code that the refusal must have."),
      option("reply", &Request::expect,
             TypePtr<std::vector<ReplyExpectation>>(std::make_shared<NamedConditions<ReplyExpectation>>(
                 &ReplyExpectation::path, path, "a map of dotted paths to conditions")),
             "What must hold of fields of the reply, as \"result.payload\"."),
  });
}

TypePtr<Request> make_request_type() {
  return section<Request>(
      {
          option(
              "name", &Request::name,
              text({.max_bytes = 128, .pattern = R"([^\x00-\x1f\x7f]+)", .words = "one line of text"}),
              "Name in reports, unique in the scenario. Without it: the op; \"op#2\" and so on where that is taken."),
          option("op", &Request::op,
                 text({.max_bytes = 64,
                       .pattern = "[A-Za-z0-9][A-Za-z0-9._-]*( [A-Za-z0-9][A-Za-z0-9._-]*)?",
                       .words = "the name of a command of the guest (one or two words of A-Z a-z 0-9 . _ -)"}),
                 "The guest's command; \"sisctl shell help\" lists them.", Presence::Required),
          option(
              "args", &Request::args, value_map("a map of the command's arguments"),
              "Arguments by name. A plain scalar is a number, true, false, null or a text; one in quotes is a text."),
          option("timeout", &Request::timeout, duration(1ms, 24h), "How long one reply may take."),
          option("repeat", &Request::repeat, integer<unsigned>(1, 1'000'000),
                 "How many times the request is sent, one after the other. Each reply must be as expected."),
          group("expect", expect_type(), "What must hold of the reply."),
      },
      check_request);
}

}  // namespace

const TypePtr<Request>& request_type() {
  static const TypePtr<Request> type = make_request_type();
  return type;
}

}  // namespace vmm::scenario
