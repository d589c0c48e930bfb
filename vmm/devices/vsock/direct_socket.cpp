#include "vmm/devices/vsock/direct_socket.hpp"

#include "vmm/devices/vsock/host_socket.hpp"

namespace vmm::vsock {

DirectSocket::DirectSocket(EventLoop& loop, const DirectSocketConfig& config, Muxer& muxer, Counters& counters)
    : listener_(loop, UniqueFd(config.listener), counters,
                [&loop, &muxer, port = config.guest_port, refusal = config.refusal](UniqueFd fd) {
                  const ClientId client = process_of(fd.get());
                  muxer.connect_from_host(make_direct_stream(loop, std::move(fd), refusal), port, client);
                }) {}

}  // namespace vmm::vsock
