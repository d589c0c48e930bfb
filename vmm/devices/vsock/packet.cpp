#include "vmm/devices/vsock/packet.hpp"

namespace vmm::vsock {
namespace {

bool known(std::uint16_t op) {
  return op >= static_cast<std::uint16_t>(Op::Request) && op <= static_cast<std::uint16_t>(Op::CreditRequest);
}

}  // namespace

std::expected<void, PacketError> read_packet(virtio::Reader& reader, std::uint64_t guest_cid, ReceivedPacket& packet) {
  const auto header = reader.read<PacketHeader>();
  if (!header) return std::unexpected(PacketError::Short);
  packet.header = *header;
  packet.op = Op::Invalid;
  if (header->src_cid != guest_cid) return std::unexpected(PacketError::BadSource);
  if (header->dst_cid != abi::vsock::kHostCid) return std::unexpected(PacketError::BadDestination);
  if (header->type != abi::vsock::kTypeStream) return std::unexpected(PacketError::BadType);
  if (!known(header->op)) return std::unexpected(PacketError::BadOperation);
  if (header->len > reader.available()) return std::unexpected(PacketError::Short);
  packet.op = static_cast<Op>(header->op.value());
  return {};
}

PacketHeader make_header(std::uint64_t guest_cid, const PacketFields& fields) {
  PacketHeader header;
  header.src_cid = abi::vsock::kHostCid;
  header.dst_cid = guest_cid;
  header.src_port = fields.key.host_port;
  header.dst_port = fields.key.guest_port;
  header.len = fields.payload_bytes;
  header.type = abi::vsock::kTypeStream;
  header.op = static_cast<std::uint16_t>(fields.op);
  header.flags = fields.flags;
  header.buf_alloc = fields.buf_alloc;
  header.fwd_cnt = fields.fwd_cnt;
  return header;
}

}  // namespace vmm::vsock
