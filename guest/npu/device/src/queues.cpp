#include "guest/npu/device/queues.hpp"

#include <algorithm>
#include <cstring>

namespace guest::npu {

using drivers::QueueSegment;
using drivers::Virtqueue;
using kernel::Status;

namespace {

Status allocate(drivers::DmaMemory& dma, drivers::DmaBuffer& buffer, std::size_t bytes) {
  if (buffer.bytes.size() >= bytes) {
    return Status::Ok;  // of an earlier start
  }
  if (!buffer.bytes.empty()) {
    dma.free(buffer);
    buffer = {};
  }
  const kernel::Result<drivers::DmaBuffer> allocated = dma.allocate(bytes);
  if (!allocated) {
    return allocated.error();
  }
  buffer = *allocated;
  return Status::Ok;
}

}  // namespace

Status Queues::set_up(std::uint16_t index, bool event_idx) {
  const std::uint16_t size = Virtqueue::usable_size(transport_.max_queue_size(index));
  if (size < 2) {  // a request and its reply
    return Status::NotFound;
  }
  const Virtqueue::Options options{.size = size, .event_idx = event_idx};
  if (const Status done = allocate(dma_, memory_[index], Virtqueue::memory_bytes(options)); done != Status::Ok) {
    return done;
  }
  if (const Status done = queue_of(index).init(options, memory_[index]); done != Status::Ok) {
    return done;
  }
  return transport_.activate_queue(index, queue_of(index).addresses());
}

Status Queues::start() {
  namespace feature = abi::virtio::feature;
  const kernel::Result<std::uint64_t> features = transport_.negotiate(feature::bit(feature::kRingEventIdx));
  if (!features) {
    return features.error();
  }
  const bool event_idx = (*features & feature::bit(feature::kRingEventIdx)) != 0;
  Status done = allocate(dma_, request_, kReplyOffset + kMaxReply);
  for (const std::uint16_t index : {abi::npu::kControlQueue, abi::npu::kJobQueue}) {
    done = done == Status::Ok ? set_up(index, event_idx) : done;
  }
  return done == Status::Ok ? transport_.set_driver_ok() : done;
}

Status Queues::stop() {
  transport_.set_failed();
  return transport_.reset();
}

bool Queues::add_job(const QueueSegment& stream, const QueueSegment& result, std::uint16_t token) {
  return jobs_.add({&stream, 1}, {&result, 1}, token) == Status::Ok;
}

bool Queues::add_control(const abi::npu::ControlRequest& request, std::uint32_t reply_bytes) {
  std::memcpy(request_.bytes.data(), &request, sizeof(request));
  const QueueSegment out{.address = request_.address, .bytes = sizeof(request)};
  const QueueSegment in{.address = request_.address + kReplyOffset, .bytes = reply_bytes};
  return control_.add({&out, 1}, {&in, 1}, 0) == Status::Ok;
}

bool Queues::take_reply(Reply& reply) {
  const auto used = control_.take_used();
  if (!used) {
    return false;
  }
  // At most what the chain had room for, and that was at most kMaxReply. Copied once: the device may change it.
  reply.bytes = used->written_bytes;
  std::memcpy(reply.data, request_.bytes.data() + kReplyOffset, reply.bytes);
  return true;
}

bool Queues::arm() {
  const bool jobs = jobs_.arm_interrupt();
  return control_.arm_interrupt() || jobs;
}

}  // namespace guest::npu
