// Models that can be loaded and run, signed on the spot, in a boot archive.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "guest/kernel/archive.hpp"
#include "guest/llm/model/testing/small_model.hpp"
#include "guest/llm/package/testing/package.hpp"
#include "guest/llm/tokenizer/testing/vocabularies.hpp"

namespace guest::llm::testing {

/// Random weights, the tokens of bytes, one layer.
inline std::string runnable_model(std::uint32_t context = 128, std::uint32_t seed = 1) {
  const SmallModel shape{.context = context, .vocabulary = 260, .layers = 1, .seed = seed};
  const Tokens tokens = pieces();
  gguf::testing::Builder builder = keys_of(shape);
  builder.put("tokenizer.ggml.model", "llama").put_array("tokenizer.ggml.tokens", tokens.texts);
  builder.put_array("tokenizer.ggml.token_type", tokens.types).put_array("tokenizer.ggml.scores", tokens.scores);
  builder.put("tokenizer.ggml.bos_token_id", std::uint32_t{1}).put("tokenizer.ggml.eos_token_id", std::uint32_t{2});
  put_tensors(builder, shape);
  return builder.bytes();
}

/// Of a runnable model, signed by kOurs.
inline std::string manifest_for(const std::string& id, const std::string& model, std::uint32_t revision = 1,
                                std::uint32_t context = 128) {
  package::Manifest manifest;
  manifest.id.write(id);
  manifest.name.write("Random bytes");
  manifest.revision = revision;
  manifest.context = context;
  manifest.vocabulary = 260;
  manifest.quantisation = gguf::Type::F32;
  manifest.size = model.size();
  manifest.wcet_cycles = 1'000;
  manifest.sha256 = package::testing::digest_of(model);
  manifest.key = package::testing::kOurs.key;
  return package::testing::signed_text(manifest);
}

/// Files in the "newc" format of cpio.
class TestArchive {
 public:
  /// models/ID.gguf, and models/ID.sig unless `manifest` is empty.
  void put_model(const std::string& id, const std::string& model, const std::string& manifest = {}) {
    files_["models/" + id + ".gguf"] = model;
    if (!manifest.empty()) {
      files_["models/" + id + ".sig"] = manifest;
    }
  }
  /// Puts what there is into `archive`, which refers to this.
  void open(kernel::Archive& archive) {
    bytes_.clear();
    for (const auto& [name, data] : files_) {
      add(name, data, 0100644);
    }
    add("TRAILER!!!", "", 0);
    if (!archive.open(std::as_bytes(std::span(bytes_)))) {
      std::abort();
    }
  }

 private:
  void add(const std::string& name, const std::string& data, unsigned mode) {
    char header[111];
    std::snprintf(header, sizeof(header), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 0U, mode, 0U,
                  0U, 1U, 0U, static_cast<unsigned>(data.size()), 0U, 0U, 0U, 0U,
                  static_cast<unsigned>(name.size() + 1), 0U);
    bytes_ += header + name + '\0';
    bytes_.resize((bytes_.size() + 3) / 4 * 4);
    bytes_ += data;
    bytes_.resize((bytes_.size() + 3) / 4 * 4);
  }

  std::map<std::string, std::string> files_;
  std::string bytes_;
};

}  // namespace guest::llm::testing
