// The back end against a fake front end and a fake device.
#include "vmm/virtio/transport/vhost_user/backend.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "vmm/base/unix_socket.hpp"

namespace vmm::virtio::vhost_user {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kGuestBase = 0x4000'0000;
constexpr std::uint64_t kUserBase = 0x7F00'0000'0000;
constexpr std::uint64_t kMemoryBytes = 1 << 20;
constexpr std::uint64_t kRingFeature = std::uint64_t{1} << abi::virtio::feature::kRingEventIdx;
constexpr std::uint64_t kProtocolFeature = std::uint64_t{1} << kFeatureProtocolFeatures;

struct FakeDevice final : VirtioDevice {
  static constexpr std::uint16_t kSizes[3] = {8, 8, 8};
  std::optional<Activation> active;
  int activations = 0, resets = 0, kicks = 0, memory_changes = 0;
  std::vector<std::byte> written;

  [[nodiscard]] abi::virtio::DeviceId id() const override { return abi::virtio::DeviceId::Vsock; }
  [[nodiscard]] std::uint64_t features() const override { return kRingFeature; }
  [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override { return kSizes; }
  [[nodiscard]] std::uint16_t required_queues() const override { return 2; }
  [[nodiscard]] std::vector<std::byte> config() const override { return std::vector(8, std::byte{0x2A}); }
  void write_config(std::uint32_t, std::span<const std::byte> bytes) override {
    written.assign(bytes.begin(), bytes.end());
  }
  Result<> activate(Activation activation) override {
    ++activations;
    active = std::move(activation);
    return {};
  }
  std::vector<Virtqueue> deactivate() override {
    auto queues = std::move(active->queues);
    active.reset();
    return queues;
  }
  void reset() override { ++resets; }
  void queue_kicked(std::uint16_t) override { ++kicks; }
  Result<> memory_changed(const std::shared_ptr<const GuestMemory>&) override {
    ++memory_changes;
    return {};
  }
};

struct BackendTest : ::testing::Test {
  std::unique_ptr<EventLoop> loop = std::move(*EventLoop::create());
  FakeDevice device;
  std::unique_ptr<Backend> backend;
  UniqueFd front_end;
  UniqueFd memory;
  Notifier kick[2], call[2];
  std::optional<std::string> ended;
  std::vector<std::string> warnings;

  void SetUp() override {
    auto ends = std::move(*make_socket_pair());
    front_end = std::move(ends.first);
    timeval patience{.tv_sec = 0, .tv_usec = 20'000};
    ::setsockopt(front_end.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    auto started = Backend::start(*loop, std::move(ends.second), device,
                                  {.queues = 2,
                                   .disconnected = [this](const std::string& reason) { ended = reason; },
                                   .warning = [this](const std::string& text) { warnings.push_back(text); }});
    ASSERT_TRUE(started.has_value());
    backend = std::move(*started);
    memory.reset(::memfd_create("guest", MFD_CLOEXEC));
    ASSERT_EQ(::ftruncate(memory.get(), kMemoryBytes), 0);
  }

  void spin() {
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(loop->run_once(milliseconds(0)));
  }
  void send_raw(std::span<const std::byte> bytes, const std::vector<int>& fds = {}) {
    iovec range{const_cast<std::byte*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &range;
    message.msg_iovlen = 1;
    std::vector<char> control(CMSG_SPACE(fds.size() * sizeof(int)));
    if (!fds.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* part = CMSG_FIRSTHDR(&message);
      part->cmsg_level = SOL_SOCKET;
      part->cmsg_type = SCM_RIGHTS;
      part->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
      std::memcpy(CMSG_DATA(part), fds.data(), fds.size() * sizeof(int));
    }
    ASSERT_EQ(::sendmsg(front_end.get(), &message, MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    spin();
  }
  static std::vector<std::byte> encode(Request request, std::span<const std::byte> payload, std::uint32_t flags) {
    const Header header{.request = static_cast<std::uint32_t>(request),
                        .flags = kVersion | flags,
                        .size = static_cast<std::uint32_t>(payload.size())};
    std::vector<std::byte> bytes(sizeof header + payload.size());
    std::memcpy(bytes.data(), &header, sizeof header);
    if (!payload.empty()) std::memcpy(bytes.data() + sizeof header, payload.data(), payload.size());
    return bytes;
  }
  void send_bytes(Request request, std::span<const std::byte> payload, const std::vector<int>& fds = {},
                  std::uint32_t flags = 0) {
    send_raw(encode(request, payload, flags), fds);
  }
  template <typename T>
  void send(Request request, const T& payload, const std::vector<int>& fds = {}, std::uint32_t flags = 0) {
    send_bytes(request, std::as_bytes(std::span(&payload, 1)), fds, flags);
  }
  /// The reply's payload; nothing if there is no reply.
  std::optional<std::vector<std::byte>> reply() {
    Header header;
    if (::recv(front_end.get(), &header, sizeof header, MSG_WAITALL) != sizeof header) return std::nullopt;
    EXPECT_EQ(header.flags, kVersion | kFlagReply);
    std::vector<std::byte> payload(header.size);
    if (header.size != 0) {
      EXPECT_EQ(::recv(front_end.get(), payload.data(), payload.size(), MSG_WAITALL),
                static_cast<ssize_t>(header.size));
    }
    return payload;
  }
  std::optional<std::uint64_t> reply_u64() {
    const auto payload = reply();
    if (!payload || payload->size() != 8) return std::nullopt;
    std::uint64_t value;
    std::memcpy(&value, payload->data(), sizeof value);
    return value;
  }
  void expect_ended(std::string_view words) {
    ASSERT_TRUE(ended.has_value());
    EXPECT_NE(ended->find(words), std::string::npos) << *ended;
    ended.reset();
  }

  struct MemoryTableOf1 {
    MemoryTableHeader header{.region_count = 1, .padding = 0};
    MemoryRegionEntry region{
        .guest_address = kGuestBase, .size = kMemoryBytes, .user_address = kUserBase, .mmap_offset = 0};
  };
  void negotiate() {
    send(Request::SetProtocolFeatures, std::uint64_t{1} << protocol_feature::kReplyAck);
    send(Request::SetFeatures, kRingFeature | kProtocolFeature);
  }
  static std::uint64_t ring_base(std::uint32_t index) { return kUserBase + 0x1000 * (index + 1); }
  void start_ring(std::uint32_t index, std::uint32_t base = 0) {
    send(Request::SetVringNum, VringState{.index = index, .value = 8});
    send(Request::SetVringBase, VringState{.index = index, .value = base});
    send(Request::SetVringAddr, VringAddress{.index = index,
                                             .flags = 0,
                                             .descriptors = ring_base(index),
                                             .used = ring_base(index) + 0x200,
                                             .available = ring_base(index) + 0x100,
                                             .log = 0});
    kick[index] = std::move(*Notifier::create());
    call[index] = std::move(*Notifier::create());
    send(Request::SetVringKick, std::uint64_t{index}, {kick[index].fd()});
    send(Request::SetVringCall, std::uint64_t{index}, {call[index].fd()});
    send(Request::SetVringEnable, VringState{.index = index, .value = 1});
  }
  void start_all(std::uint32_t base = 0) {
    start_ring(0, base);
    start_ring(1, base);
  }
  void start_device() {
    negotiate();
    send(Request::SetMemTable, MemoryTableOf1{}, {memory.get()});
    start_all();
    ASSERT_TRUE(device.active.has_value()) << ended.value_or("");
  }
  std::uint32_t stop_ring(std::uint32_t index) {
    send(Request::GetVringBase, VringState{.index = index, .value = 0});
    const auto payload = reply();
    VringState state{};
    if (payload && payload->size() == sizeof state) std::memcpy(&state, payload->data(), sizeof state);
    EXPECT_EQ(state.index, index);
    return state.value;
  }
};

TEST_F(BackendTest, features_are_the_devices_and_the_protocols) {
  send_bytes(Request::GetFeatures, {});
  EXPECT_EQ(reply_u64(), kRingFeature | kProtocolFeature);
  send_bytes(Request::GetQueueNum, {});
  EXPECT_EQ(reply_u64(), 2u);
}

TEST_F(BackendTest, device_starts_when_every_ring_runs) {
  negotiate();
  send(Request::SetMemTable, MemoryTableOf1{}, {memory.get()});
  start_ring(0);
  EXPECT_FALSE(device.active);
  start_ring(1);
  ASSERT_TRUE(device.active);
  EXPECT_EQ(device.active->features, kRingFeature);
  ASSERT_EQ(device.active->queues.size(), 2u);
  EXPECT_EQ(device.active->queues[0].layout().descriptors.value(), kGuestBase + 0x1000);
  EXPECT_TRUE(device.active->queues[0].layout().event_index);
  EXPECT_FALSE(device.active->queues[0].layout().indirect);
  EXPECT_EQ(device.resets, 0);
}

TEST_F(BackendTest, kick_and_call_reach_the_other_side) {
  start_device();
  kick[1].signal();
  spin();
  EXPECT_EQ(device.kicks, 1);
  device.active->interrupt->signal_queue(0);
  EXPECT_TRUE(call[0].drain());
  EXPECT_FALSE(call[1].drain());
}

TEST_F(BackendTest, stopped_rings_tell_where_they_were_and_can_go_on) {
  start_device();
  EXPECT_EQ(stop_ring(0), 0u);
  EXPECT_FALSE(device.active);
  EXPECT_EQ(stop_ring(1), 0u);
  start_all(0);
  EXPECT_TRUE(device.active);
  EXPECT_EQ(device.activations, 2);
  EXPECT_EQ(device.resets, 0);
}

TEST_F(BackendTest, ring_that_starts_elsewhere_belongs_to_a_new_driver) {
  start_device();
  stop_ring(0);
  stop_ring(1);
  start_all(3);
  EXPECT_TRUE(device.active);
  EXPECT_EQ(device.resets, 1);
  EXPECT_EQ(device.active->queues[0].next_index(), 3);
}

TEST_F(BackendTest, reset_told_by_another_channel_is_passed_on_once) {
  start_device();
  backend->guest_was_reset();
  EXPECT_EQ(device.resets, 0);
  stop_ring(0);
  stop_ring(1);
  backend->guest_was_reset();
  EXPECT_EQ(device.resets, 1);
  start_all();
  EXPECT_EQ(device.resets, 1);
}

TEST_F(BackendTest, disabled_ring_suspends_the_device) {
  start_device();
  send(Request::SetVringEnable, VringState{.index = 0, .value = 0});
  EXPECT_FALSE(device.active);
  send(Request::SetVringEnable, VringState{.index = 0, .value = 1});
  EXPECT_TRUE(device.active);
  EXPECT_EQ(device.resets, 0);
}

TEST_F(BackendTest, broken_driver_is_reported_and_does_not_go_on) {
  start_device();
  device.active->interrupt->needs_reset(1, "bad chain");
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("bad chain"), std::string::npos);
  EXPECT_FALSE(ended);
}

TEST_F(BackendTest, new_memory_map_reaches_a_running_device) {
  start_device();
  send(Request::SetMemTable, MemoryTableOf1{}, {memory.get()});
  EXPECT_EQ(device.memory_changes, 1);
  EXPECT_FALSE(ended);
}

TEST_F(BackendTest, configuration_is_read_within_its_bounds_only) {
  struct {
    ConfigHeader header{.offset = 4, .size = 4, .flags = 0};
    std::byte room[4]{};
  } request;
  send(Request::GetConfig, request);
  const auto answer = reply();
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->size(), sizeof request);
  EXPECT_EQ(answer->back(), std::byte{0x2A});
  request.header.offset = 5;
  send(Request::GetConfig, request);
  EXPECT_EQ(reply()->size(), 0u);
  request.header = {.offset = 0xFFFF'FFFF, .size = 4, .flags = 0};
  send(Request::GetConfig, request);
  EXPECT_EQ(reply()->size(), 0u);
}

TEST_F(BackendTest, configuration_is_written_within_its_bounds_only) {
  negotiate();
  struct {
    ConfigHeader header{.offset = 6, .size = 2, .flags = 0};
    std::byte bytes[2]{std::byte{1}, std::byte{2}};
  } __attribute__((packed)) request;
  send(Request::SetConfig, request, {}, kFlagNeedReply);
  EXPECT_EQ(reply_u64(), 0u);
  EXPECT_EQ(device.written.size(), 2u);
  request.header.offset = 7;
  send(Request::SetConfig, request, {}, kFlagNeedReply);
  EXPECT_EQ(reply_u64(), 1u);
}

TEST_F(BackendTest, message_in_single_bytes_is_understood) {
  const auto bytes = encode(Request::GetFeatures, {}, 0);
  for (const std::byte& byte : bytes) send_raw(std::span(&byte, 1));
  EXPECT_EQ(reply_u64(), kRingFeature | kProtocolFeature);
}

TEST_F(BackendTest, orderly_close_has_no_reason) {
  start_device();
  front_end.reset();
  spin();
  ASSERT_TRUE(ended);
  EXPECT_EQ(*ended, "");
  EXPECT_FALSE(device.active);
}

TEST_F(BackendTest, close_in_a_message_has_one) {
  const auto bytes = encode(Request::SetFeatures, std::as_bytes(std::span("12345678", 8)), 0);
  send_raw(std::span(bytes).first(15));
  front_end.reset();
  spin();
  expect_ended("middle of a message");
}

TEST_F(BackendTest, wrong_version_ends_the_connection) {
  const Header header{.request = 1, .flags = 2, .size = 0};
  send_raw(std::as_bytes(std::span(&header, 1)));
  expect_ended("version 1");
}

TEST_F(BackendTest, message_too_long_ends_the_connection) {
  const Header header{.request = 1, .flags = kVersion, .size = kMaxPayloadBytes + 1};
  send_raw(std::as_bytes(std::span(&header, 1)));
  expect_ended("longest message");
}

TEST_F(BackendTest, too_many_descriptors_end_the_connection) {
  send_bytes(Request::SetOwner, {}, std::vector<int>(kMaxFds + 1, memory.get()));
  expect_ended("descriptors");
}

TEST_F(BackendTest, descriptor_where_none_belongs_ends_the_connection) {
  send(Request::SetFeatures, std::uint64_t{0}, {memory.get()});
  expect_ended("malformed");
}

TEST_F(BackendTest, wrong_payload_size_ends_the_connection) {
  send(Request::SetVringNum, std::uint32_t{1});
  expect_ended("SET_VRING_NUM with 4 bytes");
}

TEST_F(BackendTest, ring_out_of_range_is_refused) {
  send(Request::SetVringNum, VringState{.index = 2, .value = 8});
  expect_ended("ring 2 of 2");
}

TEST_F(BackendTest, features_not_offered_are_refused) {
  send(Request::SetFeatures, std::uint64_t{1} << 40);
  expect_ended("not offered");
}

TEST_F(BackendTest, unknown_message_is_answered_when_an_answer_is_wanted) {
  negotiate();
  send_bytes(static_cast<Request>(99), {}, {}, kFlagNeedReply);
  EXPECT_EQ(reply_u64(), 1u);
  send_bytes(static_cast<Request>(99), {});
  EXPECT_EQ(reply(), std::nullopt);
  EXPECT_FALSE(ended);
  EXPECT_EQ(warnings.size(), 2u);
}

TEST_F(BackendTest, ring_outside_memory_is_refused) {
  negotiate();
  send(Request::SetMemTable, MemoryTableOf1{}, {memory.get()});
  start_ring(0);
  send(Request::SetVringNum, VringState{.index = 1, .value = 8});
  send(Request::SetVringAddr,
       VringAddress{.index = 1, .flags = 0, .descriptors = 0x1000, .used = 0, .available = 0, .log = 0});
  send(Request::SetVringEnable, VringState{.index = 1, .value = 1});
  kick[1] = std::move(*Notifier::create());
  send(Request::SetVringKick, std::uint64_t{1}, {kick[1].fd()}, kFlagNeedReply);
  EXPECT_EQ(reply_u64(), 1u);
  EXPECT_FALSE(device.active);
}

TEST_F(BackendTest, kick_without_a_descriptor_is_refused) {
  send(Request::SetVringKick, kVringNoFd);
  expect_ended("without a descriptor");
}

TEST_F(BackendTest, call_that_announces_a_descriptor_and_has_none_ends_the_connection) {
  send(Request::SetVringCall, std::uint64_t{0});
  expect_ended("malformed");
}

TEST_F(BackendTest, call_that_announces_no_descriptor_and_has_one_ends_the_connection) {
  send(Request::SetVringCall, kVringNoFd, {memory.get()});
  expect_ended("malformed");
}

TEST_F(BackendTest, memory_beyond_its_file_is_refused) {
  MemoryTableOf1 table;
  table.region.size = kMemoryBytes + 4096;
  send(Request::SetMemTable, table, {memory.get()});
  expect_ended("region 0");
}

TEST_F(BackendTest, memory_without_its_descriptor_is_refused) {
  send(Request::SetMemTable, MemoryTableOf1{});
  expect_ended("0 descriptors");
}

TEST_F(BackendTest, memory_that_wraps_is_refused) {
  MemoryTableOf1 table;
  table.region.user_address = UINT64_MAX - 4095;
  send(Request::SetMemTable, table, {memory.get()});
  expect_ended("region 0");
}

TEST_F(BackendTest, memory_of_too_many_regions_is_refused) {
  MemoryTableOf1 table;
  table.header.region_count = 9;
  send(Request::SetMemTable, table, {memory.get()});
  expect_ended("9 regions");
}

TEST_F(BackendTest, back_end_may_be_destroyed_in_its_callback) {
  auto ends = std::move(*make_socket_pair());
  std::unique_ptr<Backend> other;
  int calls = 0;
  other = std::move(*Backend::start(*loop, std::move(ends.second), device,
                                    {.queues = 2,
                                     .disconnected =
                                         [&](const std::string&) {
                                           ++calls;
                                           other.reset();
                                         },
                                     .warning = {}}));
  ends.first.reset();
  spin();
  EXPECT_EQ(calls, 1);
}

TEST(memory_table, translate_finds_the_region_and_its_last_byte) {
  const UniqueFd file(::memfd_create("guest", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), 3 * 4096), 0);
  struct {
    MemoryTableHeader header{.region_count = 2, .padding = 0};
    MemoryRegionEntry regions[2]{
        {.guest_address = 0x1000, .size = 4096, .user_address = 0x10'0000, .mmap_offset = 0},
        {.guest_address = 0x9000, .size = 4096, .user_address = 0x20'0000, .mmap_offset = 8192}};
  } payload;
  Message message;
  message.payload.resize(sizeof payload);
  std::memcpy(message.payload.data(), &payload, sizeof payload);
  message.fds.emplace_back(::dup(file.get()));
  message.fds.emplace_back(::dup(file.get()));
  const auto table = MemoryTable::from_message(message);
  ASSERT_TRUE(table.has_value());
  EXPECT_EQ(table->translate(0x20'0FFF, "x")->value(), 0x9FFFu);
  EXPECT_FALSE(table->translate(0x20'1000, "x").has_value());
  EXPECT_FALSE(table->translate(0xF'FFFF, "x").has_value());
  ASSERT_TRUE(table->memory()->write<std::uint8_t>(Gpa(0x9000), 7));
  std::uint8_t byte = 0;
  EXPECT_EQ(::pread(file.get(), &byte, 1, 8192), 1);
  EXPECT_EQ(byte, 7);
}

}  // namespace
}  // namespace vmm::virtio::vhost_user
