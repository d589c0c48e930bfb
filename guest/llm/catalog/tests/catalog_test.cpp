// Models on their way into the service: verified first, freed when refused.
#include "guest/llm/catalog/catalog.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "guest/kernel/threads/testing/fake_cpus.hpp"
#include "guest/llm/catalog/testing/packages.hpp"
#include "guest/llm/service/audit.hpp"
#include "guest/llm/service/owner.hpp"
#include "guest/npu/cpu_accelerator.hpp"
#include "npu/kernels/kernels.hpp"

namespace guest::llm {
namespace {

using testing::manifest_for;
using testing::runnable_model;

class Journal final : public Audit {
 public:
  void record(const AuditEntry& entry) override {
    lines.push_back(std::string(to_string(entry.operation)) + " " + std::string(entry.model) + " " +
                    std::string(entry.decision));
  }
  std::vector<std::string> lines;
};

/// A copy, as it would have come over vsock.
OwnedFile file_of(const std::string& bytes) {
  auto file = OwnedFile::make(bytes.size());
  EXPECT_TRUE(file);
  std::memcpy(file->bytes().data(), bytes.data(), bytes.size());
  return std::move(*file);
}

class CatalogTest : public ::testing::Test {
 protected:
  CatalogTest() {
    threads::start_cpus();
    trust_.policy.key = package::testing::kOurs.key;
    service_ = std::move(*Service::make(npu_, {.models = 2}, journal_));
    catalog_ = std::make_unique<Catalog>(*service_, trust_, archive_);
  }
  ~CatalogTest() override {
    catalog_.reset();
    service_.reset();
    EXPECT_EQ(npu_.read_counters()->regions, 0U);
  }

  /// In a thread, to its end.
  static void in_thread(const std::function<void()>& body) {
    bool ended = false;
    threads::start("test", [&] {
      body();
      ended = true;
    });
    threads::run_until_idle();
    EXPECT_TRUE(ended);
  }
  static std::string told(const kernel::Outcome& outcome) { return outcome ? "ok" : std::string(outcome.error().name); }
  /// "id state", of all.
  std::vector<std::string> list() {
    std::vector<std::string> lines;
    for (std::size_t i = 0;; ++i) {
      const auto entry = catalog_->at(i);
      if (!entry) {
        return lines;
      }
      lines.push_back(std::string(entry->id.view()) + " " + std::string(to_string(entry->state)));
    }
  }

  npu::CpuAccelerator npu_{::npu::scalar_kernels()};
  Journal journal_;
  kernel::Archive archive_;
  testing::TestArchive files_;
  package::Trust trust_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<Catalog> catalog_;
  const Caller caller_{.owner = owner_id(OwnerKind::Shell)};
  const std::string model_ = runnable_model();
};

TEST_F(CatalogTest, model_of_the_archive_is_loaded_and_unloaded) {
  files_.put_model("tiny", model_, manifest_for("tiny", model_, 3));
  files_.put_model("other", model_);
  files_.open(archive_);
  EXPECT_EQ(list(), (std::vector<std::string>{"other available", "tiny available"}));
  in_thread([&] {
    EXPECT_EQ(told(catalog_->load(caller_, "tiny")), "ok");
    EXPECT_EQ(list(), (std::vector<std::string>{"tiny loaded", "other available"}));
    const CatalogEntry entry = *catalog_->at(0);
    EXPECT_EQ(entry.bytes, model_.size());
    EXPECT_EQ(entry.manifest->revision, 3U);
    EXPECT_EQ(entry.manifest->wcet_cycles, 1'000U);
    EXPECT_EQ(entry.facts.vocabulary, 260U);
    ModelStatus status[1];
    EXPECT_EQ(service_->models(status), 1U);
    EXPECT_EQ(status[0].id.view(), "tiny");
    EXPECT_EQ(told(catalog_->load(caller_, "tiny")), "llm-model-exists");
    EXPECT_EQ(told(catalog_->unload(caller_, "tiny")), "ok");
    EXPECT_EQ(told(catalog_->unload(caller_, "tiny")), "llm-no-model");
  });
  EXPECT_EQ(list(), (std::vector<std::string>{"other available", "tiny available"}));
  EXPECT_EQ(journal_.lines, (std::vector<std::string>{"load tiny ok", "load tiny llm-model-exists", "unload tiny ok",
                                                      "unload tiny llm-no-model"}));
}

TEST_F(CatalogTest, package_whose_revision_could_not_be_kept_is_refused_before_it_is_used) {
  files_.put_model("tiny", model_, manifest_for("tiny", model_, 3));
  files_.open(archive_);
  for (std::size_t i = 0; i < package::Revisions::kMaxIds; ++i) {
    ASSERT_TRUE(trust_.revisions.accept("id" + std::to_string(i), 1));
  }
  in_thread([&] { EXPECT_EQ(told(catalog_->load(caller_, "tiny")), "llm-too-many-ids"); });
  ASSERT_EQ(journal_.lines.size(), 1U);
  EXPECT_NE(journal_.lines[0].find("llm-too-many-ids"), std::string::npos) << journal_.lines[0];
  ModelStatus status[1];
  EXPECT_EQ(service_->models(status), 0U);
}

TEST_F(CatalogTest, refused_model_is_shown_with_the_reason_and_gives_its_memory_back) {
  std::string changed = model_;
  changed.back() = static_cast<char>(changed.back() ^ 1);
  files_.put_model("tiny", changed, manifest_for("tiny", model_));
  files_.put_model("bare", model_);
  files_.open(archive_);
  in_thread([&] {
    EXPECT_EQ(told(catalog_->load(caller_, "tiny")), "package-wrong-hash");
    EXPECT_EQ(told(catalog_->load(caller_, "bare")), "package-unsigned");
    EXPECT_EQ(told(catalog_->load(caller_, "none")), "llm-no-file");
    EXPECT_EQ(told(catalog_->load(caller_, "no/model")), "llm-bad-model-id");
  });
  EXPECT_EQ(list(), (std::vector<std::string>{"tiny refused", "bare refused", "none refused"}));
  EXPECT_EQ(catalog_->at(0)->refused.name, "package-wrong-hash");
  EXPECT_EQ(service_->models({}), 0U);
  // Every refusal is told, also those of which the service never heard.
  EXPECT_EQ(journal_.lines, (std::vector<std::string>{"load tiny package-wrong-hash", "load bare package-unsigned",
                                                      "load none llm-no-file", "load no/model llm-bad-model-id"}));
}

TEST_F(CatalogTest, refused_model_can_be_loaded_when_it_is_right) {
  in_thread([&] {
    const std::string manifest = manifest_for("tiny", model_);
    EXPECT_EQ(told(catalog_->load(caller_, "tiny", {}, file_of(model_))), "package-unsigned");
    EXPECT_EQ(told(catalog_->load(caller_, "tiny", std::as_bytes(std::span(manifest)), file_of(model_))), "ok");
  });
  EXPECT_EQ(list(), (std::vector<std::string>{"tiny loaded"}));
}

TEST_F(CatalogTest, older_revision_is_refused_once_a_newer_one_was_loaded) {
  in_thread([&] {
    const auto load = [&](std::uint32_t revision) -> std::string {
      const std::string manifest = manifest_for("tiny", model_, revision);
      return told(catalog_->load(caller_, "tiny", std::as_bytes(std::span(manifest)), file_of(model_)));
    };
    EXPECT_EQ(load(4), "ok");
    EXPECT_EQ(told(catalog_->unload(caller_, "tiny")), "ok");
    EXPECT_EQ(load(3), "package-replayed");
    EXPECT_EQ(load(4), "ok");
  });
}

TEST_F(CatalogTest, revision_counts_only_once_the_model_is_there) {
  in_thread([&] {
    // Signed, but no model that runs.
    const std::string other = package::testing::model_builder().bytes();
    package::Manifest manifest = package::testing::manifest_of(other);
    manifest.revision = 9;
    const std::string bad = package::testing::signed_text(manifest);
    EXPECT_NE(told(catalog_->load(caller_, "tiny", std::as_bytes(std::span(bad)), file_of(other))), "ok");
    const std::string good = manifest_for("tiny", model_, 2);
    EXPECT_EQ(told(catalog_->load(caller_, "tiny", std::as_bytes(std::span(good)), file_of(model_))), "ok");
  });
}

TEST_F(CatalogTest, as_many_as_the_service_has_places_for) {
  trust_.policy.allow_unsigned = true;
  in_thread([&] {
    EXPECT_EQ(told(catalog_->load(caller_, "a", {}, file_of(model_))), "ok");
    EXPECT_EQ(told(catalog_->load(caller_, "b", {}, file_of(model_))), "ok");
    EXPECT_EQ(told(catalog_->load(caller_, "c", {}, file_of(model_))), "llm-too-many-models");
    EXPECT_EQ(told(catalog_->unload(caller_, "a")), "ok");
    EXPECT_EQ(told(catalog_->load(caller_, "c", {}, file_of(model_))), "ok");
  });
  EXPECT_EQ(list(), (std::vector<std::string>{"b loaded", "c loaded"}));
}

TEST_F(CatalogTest, model_in_use_stays) {
  trust_.policy.allow_unsigned = true;
  in_thread([&] {
    ASSERT_EQ(told(catalog_->load(caller_, "tiny", {}, file_of(model_))), "ok");
    const auto id = service_->submit(caller_, "x", {.model = "tiny"});  // nobody runs it
    ASSERT_TRUE(id);
    EXPECT_EQ(told(catalog_->unload(caller_, "tiny")), "llm-model-in-use");
    EXPECT_EQ(list(), (std::vector<std::string>{"tiny loaded"}));
    ASSERT_TRUE(service_->cancel(caller_, *id));
    EXPECT_EQ(told(catalog_->unload(caller_, "tiny")), "ok");
  });
}

TEST(OwnedFile, has_limits_and_moves) {
  EXPECT_FALSE(OwnedFile::make(0));
  EXPECT_FALSE(OwnedFile::make(OwnedFile::kMaxBytes + 1));
  OwnedFile one = std::move(*OwnedFile::make(65));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(one.bytes().data()) % 64, 0U);  // as regions of the NPU are
  OwnedFile two;
  two = std::move(one);
  EXPECT_EQ(two.bytes().size(), 65U);
}

}  // namespace
}  // namespace guest::llm
