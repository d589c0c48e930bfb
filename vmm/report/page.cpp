#include "vmm/report/page.hpp"

#include <sodium.h>

#include <array>
#include <cstdint>

#include "json_text.hpp"

namespace vmm::report {

// The page's parts, in a source that embed.cmake makes.
extern const std::string_view kFrame;
extern const std::string_view kStyle;
extern const std::string_view kLibrary;
extern const std::string_view kScript;

namespace {

/// A source of the policy: the hash of what it allows.
std::string hash_source(std::string_view text) {
  std::array<unsigned char, crypto_hash_sha256_BYTES> hash;
  // A byte of text is one of what is hashed.
  crypto_hash_sha256(hash.data(), reinterpret_cast<const unsigned char*>(text.data()), text.size());
  std::array<char, sodium_base64_ENCODED_LEN(crypto_hash_sha256_BYTES, sodium_base64_VARIANT_ORIGINAL)> encoded;
  sodium_bin2base64(encoded.data(), encoded.size(), hash.data(), hash.size(), sodium_base64_VARIANT_ORIGINAL);
  return std::string("'sha256-") + encoded.data() + "'";
}

std::string or_null(const std::string& json) { return json.empty() ? "null" : json; }

std::string list_of(const std::vector<std::string>& values) {
  std::string out = "[";
  for (const std::string& value : values) out += (out.size() == 1 ? "" : ",") + value;
  return out + "]";
}

std::string run_json(const RunData& run) {
  std::vector<std::string> servers;
  servers.reserve(run.servers.size());
  for (const ServerBudget& server : run.servers) {
    servers.push_back("{\"name\":" + json_string(server.name) +
                      ",\"budget_ns\":" + std::to_string(server.budget.count()) +
                      ",\"period_ns\":" + std::to_string(server.period.count()) + "}");
  }
  std::vector<std::string> notes;
  notes.reserve(run.notes.size());
  for (const std::string& note : run.notes) notes.push_back(json_string(note));
  return "{\"folder\":" + json_string(run.folder) + ",\"summary\":" + or_null(run.summary) +
         ",\"scenario\":" + (run.scenario ? json_string(*run.scenario) : "null") + ",\"servers\":" + list_of(servers) +
         ",\"metrics\":" + or_null(run.metrics) + ",\"trace\":" + or_null(run.trace) +
         ",\"audit\":" + or_null(run.audit) + ",\"notes\":" + list_of(notes) + "}";
}

/// JSON that can stand in a script element. Outside its strings JSON has no "<", and in them this is the same text.
void append_escaped(std::string& out, std::string_view json) {
  while (!json.empty()) {
    const std::size_t at = std::min(json.find('<'), json.size());
    out += json.substr(0, at);
    if (at < json.size()) out += "\\u003c";
    json.remove_prefix(std::min(at + 1, json.size()));
  }
}

}  // namespace

std::string data_json(std::span<const RunData> runs, bool live) {
  std::vector<std::string> texts;
  texts.reserve(runs.size());
  for (const RunData& run : runs) texts.push_back(run_json(run));
  return std::string(R"({"format":"sis-report","version":1,"live":)") + (live ? "true" : "false") +
         ",\"runs\":" + list_of(texts) + "}\n";
}

std::string content_policy(bool live) {
  return "default-src 'none'; script-src " + hash_source(kLibrary) + " " + hash_source(kScript) + "; style-src " +
         hash_source(kStyle) + "; img-src data:; base-uri 'none'; form-action 'none'" +
         (live ? "; connect-src 'self'" : "");
}

std::string page(std::string_view data, bool live) {
  std::string out;
  out.reserve(kLibrary.size() + kScript.size() + kStyle.size() + data.size() + 4096);
  std::string_view rest = kFrame;
  // A place to fill in is a name between two at signs; the frame has no other.
  for (std::size_t at = rest.find('@'); at != std::string_view::npos; at = rest.find('@')) {
    out += rest.substr(0, at);
    const std::size_t end = rest.find('@', at + 1);
    const std::string_view name = rest.substr(at + 1, end - at - 1);
    if (name == "POLICY") out += content_policy(live);
    if (name == "STYLE") out += kStyle;
    if (name == "DATA") append_escaped(out, data);
    if (name == "LIBRARY") out += kLibrary;
    if (name == "SCRIPT") out += kScript;
    rest.remove_prefix(end + 1);
  }
  return out.append(rest);
}

}  // namespace vmm::report
