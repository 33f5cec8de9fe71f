// The parts of Asio that src/net uses, under short names. Internal to src/net: never included by a public header.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

// g++ 12 takes a coroutine's frame, which Asio allocates by operators of its own, for a mismatched pair at some levels of optimization.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace k2::net {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;

template <class T = void>
using Task = asio::awaitable<T>;

/// Completion token: the error goes to `ec` instead of being thrown.
inline auto into(error_code& ec) { return asio::redirect_error(asio::use_awaitable, ec); }

}  // namespace k2::net
