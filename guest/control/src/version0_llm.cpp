// The frames of version 0 for models. It knows one model, the machine's first, and requests by the numbers that the LLM
// service gives them.
#include <algorithm>
#include <array>
#include <optional>

#include "abi/boot_config.hpp"
#include "connection.hpp"
#include "guest/llm/package/manifest.hpp"
#include "llm_common.hpp"
#include "version0_parts.hpp"

namespace guest::control {

namespace error = abi::control::error;
namespace names = abi::boot_config;
using kernel::format_to;

namespace {

/// Most items of one answer.
constexpr std::size_t kMaxItems = 32;
/// Of an item: each byte as "\xHH".
constexpr std::size_t kMaxItem = 4 * llm::Chunk::kTextBytes;
/// Of an answer to LlmInferPoll what is not items: its words, four numbers and a model's id.
constexpr std::size_t kMaxHead = 112;
constexpr std::size_t kMaxItemsText = kMaxVersion0Line - kMaxHead;
static_assert(kMaxItem < kMaxItemsText, "one piece always fits");

/// The first model, of those that are in this state.
std::optional<llm::CatalogEntry> first_model(llm::Catalog& catalog, llm::ModelState state) {
  for (std::size_t i = 0; auto entry = catalog.at(i); ++i) {
    if (entry->state == state) {
      return entry;
    }
  }
  return std::nullopt;
}

/// What its manifest in the boot archive says, which is checked only when it is loaded. 0: there is none, or it says
/// nothing.
std::uint64_t said_wcet(const kernel::Archive& files, std::string_view id) {
  kernel::FixedText<names::kMaxNameBytes> path;
  format_to(path, "{}{}{}", std::string_view(names::kModelsFolder), id, std::string_view(names::kSignatureEnding));
  const auto file = files.find(path.view());
  const auto parsed = file ? llm::package::parse_manifest(file->data)
                           : std::unexpected(kernel::NamedError{.name = "package-unsigned", .detail = {}});
  return parsed ? parsed->manifest.wcet_cycles : 0;
}

/// A client that says how many cycles it reckons with for a token is told if it is wrong.
std::expected<void, Refusal> check_wcet(std::string_view id, std::uint64_t said, std::uint64_t most) {
  if (said == 0) {
    return refuse(error::kBadArgument, "wcet_cycles", "wcet_cycles: nobody says what a token of '{}' takes", id);
  }
  if (said > most) {
    return refuse(error::kBadArgument, "wcet_cycles",
                  "wcet_cycles: found {}, allowed: {} or more, which a token of '{}' "
                  "may take",
                  most, said, id);
  }
  return {};
}

/// As one word of a line: what is no letter, digit or mark, and what has a meaning there, is "\xHH".
template <std::size_t N>
void write_item(kernel::FixedText<N>& out, std::string_view text) {
  for (const char c : text) {
    if (c > ' ' && c <= '~' && c != '\\' && c != '|') {
      out.write({&c, 1});
    } else {
      format_to(out, "\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
  }
}

/// As many as there is room for; how many. The others come with the next answer.
std::size_t write_items(kernel::FixedText<kMaxItemsText>& items, std::span<const llm::Chunk> chunks) {
  std::size_t count = 0;
  for (const llm::Chunk& chunk : chunks) {
    kernel::FixedText<kMaxItem> item;
    write_item(item, chunk.text());
    if (items.view().size() + 1 + item.view().size() > kMaxItemsText) {
      break;
    }
    items.write(count == 0 ? "" : "|");
    items.write(item.view());
    ++count;
  }
  return count;
}

}  // namespace

Version0::Done Version0::llm_load(Fields arguments) {
  Services& services = connection_.server_.services_;
  const auto llm = require_llm(services);
  if (!llm) {
    return std::unexpected(llm.error());
  }
  const std::optional<std::uint64_t> most = arguments.size() == 0 ? std::nullopt : std::optional(arguments.u64());
  llm::Catalog& catalog = (*llm)->catalog;
  if (const auto loaded = first_model(catalog, llm::ModelState::Loaded)) {
    const Done checked =
        most ? check_wcet(loaded->id.view(), loaded->manifest ? loaded->manifest->wcet_cycles : 0, *most) : Done();
    return checked ? report_model(loaded->id.view()) : checked;
  }
  const auto wanted = first_model(catalog, llm::ModelState::Available);
  if (!wanted) {
    return refuse("llm-no-model", "", "no model is loaded, and the boot archive has none that was not refused");
  }
  const std::string_view id = wanted->id.view();
  if (const Done checked = most ? check_wcet(id, said_wcet(services.files, id), *most) : Done(); !checked) {
    return checked;
  }
  Words words(Words::Of::Nothing);
  words.add("model", id);
  then_ = Then::ReportModel;
  const auto ran = run("llmctl load", words);
  return ran ? Done() : std::unexpected(ran.error());  // complete() answers
}

Version0::Done Version0::report_model(std::string_view id) {
  kernel::FixedText<96> line;
  format_to(line, "OK MODEL id={}", id);
  connection_.send_done(line.view());
  return {};
}

Version0::Done Version0::llm_infer_start(Fields arguments) {
  const auto llm = require_llm(connection_.server_.services_);
  if (!llm) {
    return std::unexpected(llm.error());
  }
  const auto model = first_model((*llm)->catalog, llm::ModelState::Loaded);
  if (!model) {
    return refuse("llm-no-model", "", "no model is loaded; LlmLoad loads one");
  }
  Words words(Words::Of::Nothing);
  words.add("model", model->id.view());
  words.add("max_tokens", arguments.u16());
  words.add("wait", "no");
  words.add_text("prompt", arguments.text());
  const auto ran = run("llminfer", words);
  if (!ran) {
    return std::unexpected(ran.error());
  }
  kernel::FixedText<96> line;
  format_to(line, "OK INFER id={} model={}", find_cbor(**ran, "id")->number, model->id.view());
  connection_.send_done(line.view());
  return {};
}

Version0::Done Version0::llm_infer_poll(Fields arguments) {
  Services& services = connection_.server_.services_;
  const auto llm = require_llm(services);
  if (!llm) {
    return std::unexpected(llm.error());
  }
  services.caller = connection_.principal();
  const llm::OwnerId owner = llm_caller(services).owner;
  llm::Service& service = (*llm)->service;
  const std::uint32_t asked = arguments.u32();
  const std::uint16_t given = arguments.size() == 0 ? std::uint16_t{0} : arguments.u16();
  const llm::RequestId id = asked != 0 ? asked : service.latest(owner);
  const auto before = service.poll(owner, id);
  if (!before) {
    return refuse_llm(before.error());
  }
  std::array<llm::Chunk, kMaxItems> chunks;
  const std::size_t most = given == 0 ? kMaxItems : std::min<std::size_t>(given, kMaxItems);
  const auto read = service.read(owner, id, before->read, std::span(chunks).first(most));
  if (!read) {
    return refuse_llm(read.error());
  }
  kernel::FixedText<kMaxItemsText> items;
  const std::size_t count = write_items(items, std::span(chunks).first(*read));
  static_cast<void>(service.read(owner, id, before->read + count, {}));  // each is given once
  const auto status = service.poll(owner, id);
  if (!status) {
    return refuse_llm(status.error());
  }
  const bool over = status->finished && status->drained;
  const bool failed = has_error(status->stop);
  if (over && failed && count == 0) {
    return refuse_llm(status->error);
  }
  kernel::FixedText<kMaxVersion0Line> line;
  format_to(line, "OK TOK id={} n={} done={} plen={} model={} items={}", id, count, over && !failed ? 1 : 0,
            status->prompt_bytes, status->model.view(), items.view());
  connection_.send_done(line.view());
  return {};
}

Version0::Done Version0::llm_cancel(Fields arguments) {
  Words words(Words::Of::Nothing);
  words.add("id", arguments.u32());
  const auto ran = run("llmcancel", words);
  if (!ran) {
    return std::unexpected(ran.error());
  }
  kernel::FixedText<96> line;
  format_to(line, "OK CANCEL id={}", find_cbor(**ran, "id")->number);
  connection_.send_done(line.view());
  return {};
}

}  // namespace guest::control
