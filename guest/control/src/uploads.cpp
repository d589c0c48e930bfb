// Models that come over a connection, piece by piece (docs/control-protocol.md, "Uploads").
//
//   llm upload        signed by who is trusted? then it waits ------------------> loaded, or why not
//   llm upload-data     piece after piece, each answered at once                 ^
//   llm upload-end      all have come: they are verified and loaded in a thread -+
//
// The call that waits is the upload: with it, with its token or with its connection the upload ends, and its memory is
// free again. So it is when nothing has come for a while: a connection costs nothing, and could hold memory for ever.
#include <algorithm>
#include <array>
#include <memory>
#include <new>
#include <utility>

#include "background.hpp"
#include "guest/llm/upload/upload.hpp"
#include "llm_common.hpp"
#include "upload_commands.hpp"

namespace guest::control {

namespace error = abi::control::error;

namespace {

class Uploading;

/// All that there are. Changed in the loop only.
constinit std::array<Uploading*, kMaxUploads> uploads{};

/// Of who waits for it, then of the run that loads it; either ends it. It frees itself in its work item, which its
/// timer may have raised by then. Everything in the loop, but for file and manifest while it is loaded.
class Uploading final : public Operation {
 public:
  Uploading(Services& services, Uploading*& place, Caller& caller, llm::Upload&& upload)
      : services_(services),
        place_(&place),
        caller_(caller),
        connection_(services.caller.connection),
        upload_(std::move(upload)) {
    place = this;
    note_arrival();
    services_.timers.arm(timer_, last_ns_ + kUploadIdleNs);
  }
  Uploading(const Uploading&) = delete;
  Uploading& operator=(const Uploading&) = delete;

  void cancel() override { end(); }
  /// Frees the memory at once, and nobody finds it any more.
  void end() {
    *place_ = nullptr;
    place_ = nullptr;
    static_cast<void>(upload_.take_file());
    services_.timers.cancel(timer_);
    services_.work.raise(item_);
  }

  [[nodiscard]] Caller& caller() const { return caller_; }
  [[nodiscard]] std::uint32_t connection() const { return connection_; }
  [[nodiscard]] llm::Upload& upload() { return upload_; }
  [[nodiscard]] bool is_loading() const { return loading_; }
  /// From now on it is the run's that loads it.
  void set_loading() {
    loading_ = true;
    services_.timers.cancel(timer_);
  }
  /// Whoever brings it is still there.
  void note_arrival() { last_ns_ = services_.clock.now_ns(); }

 private:
  ~Uploading() = default;

  void look() {
    if (place_ == nullptr) {
      delete this;
    } else if (loading_) {
      // That takes as long as it takes.
    } else if (const std::uint64_t due_ns = last_ns_ + kUploadIdleNs; due_ns > services_.clock.now_ns()) {
      services_.timers.arm(timer_, due_ns);
    } else {
      Caller& caller = caller_;
      const auto why = refuse("package-idle", "", "nothing has come for {} s, and {} of {} bytes before",
                              kUploadIdleNs / 1'000'000'000, upload_.received(), upload_.size());
      end();
      caller.fail(why.error());
    }
  }

  Services& services_;
  Uploading** place_;  ///< null: it has ended
  Caller& caller_;
  const std::uint32_t connection_;  ///< its number
  bool loading_ = false;
  std::uint64_t last_ns_ = 0;
  llm::Upload upload_;
  kernel::WorkItem item_{[](void* self) { static_cast<Uploading*>(self)->look(); }, this};
  kernel::Timer timer_{item_};
};

/// Verifies and loads what has come.
class LoadRun final : public Background {
 public:
  LoadRun(llm::Catalog& catalog, const llm::Caller& who, Uploading& uploading)
      : Background(OnCancel::Flag), catalog_(catalog), who_(who), uploading_(uploading) {}
  ~LoadRun() override {
    if (owns_) {
      uploading_.end();
    }
  }
  LoadRun(const LoadRun&) = delete;
  LoadRun& operator=(const LoadRun&) = delete;

  /// It has been started: the upload goes when this does.
  void own() { owns_ = true; }

 private:
  Done work() override {
    llm::Upload& upload = uploading_.upload();
    const auto manifest = upload.manifest();
    const kernel::Outcome loaded =
        catalog_.load(who_, upload.id(), manifest.value_or(std::span<const std::byte>()), upload.take_file());
    return loaded ? Done() : refuse_llm(loaded.error());
  }
  void answer(ResultMap& result) const override {
    result.add("model", uploading_.upload().id());
    result.add("state", "loaded");
    result.add("size", uploading_.upload().size());
  }

  llm::Catalog& catalog_;
  const llm::Caller who_;
  Uploading& uploading_;
  bool owns_ = false;
};

/// That of the connection that asks.
std::expected<Uploading*, Refusal> find_upload(const Services& services) {
  const auto found = std::ranges::find_if(uploads, [&](const Uploading* each) {
    return each != nullptr && each->connection() == services.caller.connection;
  });
  if (found == uploads.end()) {
    return refuse(error::kNotFound, "", "this connection has no upload; 'llm upload' begins one");
  }
  if ((*found)->is_loading()) {
    return refuse(error::kBusy, "", "the upload of this connection is whole and is being loaded");
  }
  return *found;
}

/// What an upload may take of the memory.
std::uint64_t room_for_uploads(const kernel::PageAllocator& pages) {
  const kernel::PageStatistics statistics = pages.statistics();
  const std::uint64_t reserve = statistics.total_pages / kUploadReserve;
  return (statistics.free_pages - std::min(statistics.free_pages, reserve)) * kernel::kPageBytes;
}

llm::UploadPlan plan_of(const Arguments& arguments) {
  llm::UploadPlan plan{.id = arguments.text("id"), .size = arguments.number("size")};
  if (arguments.has("manifest")) {
    plan.manifest = std::as_bytes(std::span(arguments.text("manifest")));
  }
  return plan;
}

/// Nothing: nobody knows of this model.
std::optional<llm::ModelState> state_of(llm::Catalog& catalog, std::string_view id) {
  for (std::size_t i = 0; const auto entry = catalog.at(i); ++i) {
    if (entry->id.view() == id) {
      return entry->state;
    }
  }
  return std::nullopt;
}

}  // namespace

HandlerResult handle_llm_upload(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  const std::uint32_t connection = services.caller.connection;
  const auto llm = require_llm(services);
  if (!llm) {
    return std::unexpected(llm.error());
  }
  if (std::ranges::any_of(uploads,
                          [=](const Uploading* each) { return each != nullptr && each->connection() == connection; })) {
    return refuse(error::kBusy, "", "this connection has an upload, which has not ended");
  }
  const auto place = std::ranges::find(uploads, nullptr);
  if (place == uploads.end()) {
    return refuse(error::kBusy, "", "{} uploads are under way, which are as many as there may be", kMaxUploads);
  }
  auto upload = llm::Upload::begin(services.trust, room_for_uploads(services.pages), plan_of(arguments));
  if (!upload) {
    return refuse_llm(upload.error());
  }
  if (const auto state = state_of((*llm)->catalog, upload->id());
      state == llm::ModelState::Loaded || state == llm::ModelState::Loading) {
    return refuse("llm-model-exists", "", "the model '{}' is {}", upload->id(), llm::to_string(*state));
  }
  auto* const uploading = new (std::nothrow) Uploading(services, *place, caller, std::move(*upload));
  if (uploading == nullptr) {
    return refuse(error::kBusy, "", "no memory for another upload");
  }
  caller.defer(*uploading);
  return Handled::Later;
}

HandlerResult handle_llm_upload_data(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  const auto uploading = find_upload(services);
  if (!uploading) {
    return std::unexpected(uploading.error());
  }
  llm::Upload& upload = (*uploading)->upload();
  const kernel::Outcome added =
      upload.add(arguments.number("offset"), std::as_bytes(std::span(arguments.text("bytes"))));
  if (!added) {
    return refuse_llm(added.error());
  }
  (*uploading)->note_arrival();
  result.add("received", upload.received());
  return Handled::Now;
}

HandlerResult handle_llm_upload_end(Services& services, const Arguments&, Caller&, ResultMap& result) {
  const auto found = find_upload(services);
  if (!found) {
    return std::unexpected(found.error());
  }
  Uploading& uploading = **found;
  if (const kernel::Outcome complete = uploading.upload().check_complete(); !complete) {
    return refuse_llm(complete.error());
  }
  std::unique_ptr<LoadRun> run(new (std::nothrow) LoadRun(services.llm->catalog, llm_caller(services), uploading));
  LoadRun* const started = run.get();
  if (const auto begun = Background::start(std::move(run), "llmload", uploading.caller()); !begun) {
    return std::unexpected(begun.error());
  }
  // The loop is here: it cannot have ended.
  uploading.set_loading();
  started->own();
  result.add("received", uploading.upload().size());
  return Handled::Now;
}

}  // namespace guest::control
