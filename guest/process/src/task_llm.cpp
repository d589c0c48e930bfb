#include "guest/process/task_llm.hpp"

#include <algorithm>
#include <memory>
#include <new>

#include "guest/process/syscalls.hpp"

namespace guest::process {
namespace {

/// An answer's text goes through the kernel's stack in pieces of this size; a longer one takes more calls.
constexpr std::size_t kTextPiece = 512;
static_assert(kTextPiece >= TaskLlm::kMinTextRoom);

template <typename T>
bool fetch(T& out, std::uint64_t from, TaskServices& task) {
  const auto bytes = std::as_writable_bytes(std::span(&out, 1));
  return task.copy_from_user(bytes, from) == bytes.size();
}

bool give(std::uint64_t to, std::span<const std::byte> bytes, TaskServices& task) {
  return task.copy_to_user(to, bytes) == bytes.size();
}

template <typename T>
bool give(std::uint64_t to, const T& value, TaskServices& task) {
  return give(to, std::as_bytes(std::span(&value, 1)), task);
}

}  // namespace

/// Everything is fetched once: what the task changes meanwhile, from nowhere since it has one thread, would not count.
std::uint64_t llm_submit(std::uint64_t handle, std::uint64_t at, TaskServices& task) {
  TaskLlm* const llm = task.llm(handle);
  if (llm == nullptr) {
    return error(Errno::NoCapability);
  }
  UserLlmRequest request;
  if (!fetch(request, at, task)) {
    return error(Errno::BadAddress);
  }
  if (request.reserved != 0) {
    return error(Errno::Invalid);
  }
  if (request.prompt_bytes > llm->max_prompt_bytes()) {
    return error(Errno::TooLarge);
  }
  const std::unique_ptr<char[]> prompt(new (std::nothrow) char[request.prompt_bytes + 1]);
  if (prompt == nullptr) {
    return error(Errno::NoMemory);
  }
  const auto room = std::as_writable_bytes(std::span(prompt.get(), request.prompt_bytes));
  if (task.copy_from_user(room, request.prompt) != room.size()) {
    return error(Errno::BadAddress);
  }
  request.fits_at_ns = 0;
  const auto id = llm->submit({prompt.get(), request.prompt_bytes}, request);
  if (!id && !give(at, request, task)) {
    return error(Errno::BadAddress);
  }
  return id ? *id : error(id.error());
}

std::uint64_t llm_poll(std::uint64_t handle, std::uint64_t id, std::uint64_t at, TaskServices& task) {
  TaskLlm* const llm = task.llm(handle);
  if (llm == nullptr) {
    return error(Errno::NoCapability);
  }
  UserLlmAnswer answer;
  if (!fetch(answer, at, task)) {
    return error(Errno::BadAddress);
  }
  if (answer.reserved != 0 || (answer.text_room != 0 && answer.text_room < TaskLlm::kMinTextRoom)) {
    return error(Errno::Invalid);
  }
  char text[kTextPiece];
  const std::size_t room = std::min<std::size_t>(answer.text_room, sizeof(text));
  if (const Errno problem = llm->poll(id, answer, {text, room}); problem != Errno::None) {
    return error(problem);
  }
  if (!give(answer.text, std::as_bytes(std::span(text, answer.text_bytes)), task) || !give(at, answer, task)) {
    return error(Errno::BadAddress);
  }
  // Not before the task has it: with an address that is wrong it can ask again.
  if (answer.last != 0) {
    llm->release(id);
  }
  return 0;
}

std::uint64_t llm_cancel(std::uint64_t handle, std::uint64_t id, TaskServices& task) {
  TaskLlm* const llm = task.llm(handle);
  if (llm == nullptr) {
    return error(Errno::NoCapability);
  }
  return error(llm->cancel(id));
}

}  // namespace guest::process
