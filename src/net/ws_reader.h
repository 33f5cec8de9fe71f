// WsReader: the half of a WsPipe that reads, from bytes to messages, whatever carries the bytes. Internal to src/net.
//
// A Carrier is the one thread's, as Transport is, and has executor(), deadline(), async_read_some(), close(), is_closed(). A template, so that
// reading costs no virtual calls, and so that the fuzz target (ws_fuzz.cc) reads by this very code from memory.
// Thread rule: that of its carrier.
#pragma once

#include <boost/asio/append.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "net/asio.h"
#include "net/ws_events.h"
#include "net/ws_frame_counter.h"

namespace k2::net {

namespace beast = boost::beast;
namespace websocket = beast::websocket;

/// The stream that Beast's WebSocket stands on: reads come from the carrier by way of a buffer, writes stay in a buffer.
template <class Carrier>
class WsLayer {
 public:
  using executor_type = asio::any_io_executor;

  WsLayer(Carrier& carrier, WsFrameCounter counter, WsPipeEvents& events)
      : carrier_(carrier), counter_(counter), events_(events), input_(std::make_unique_for_overwrite<char[]>(kInputBytes)) {}

  executor_type get_executor() { return carrier_.executor(); }

  /// Whole messages that Beast can read without waiting.
  size_t ready_messages = 0;
  /// Bytes that Beast wrote, for the carrier.
  std::string output;
  /// Our close frame is the last of the output: what Beast writes after it (a pong, its answer to the peer's close frame) is dropped.
  bool is_output_closed = false;
  std::function<void()> on_output;
  int64_t idle_timeout_us = 0;

  /// Bytes that were read before the layer was there.
  void preload(std::string_view bytes) {
    K2_ASSERT(bytes.size() <= kInputBytes - end_);
    std::memcpy(input_.get() + end_, bytes.data(), bytes.size());
    committed(bytes.size());
  }

  template <class Buffers>
  size_t read_some(const Buffers& buffers, error_code& ec) {
    ec = {};
    if (begin_ == end_) ec = asio::error::would_block;  // never: only complete messages are read this way
    return take(buffers);
  }

  template <class Buffers>
  size_t read_some(const Buffers& buffers) {
    return take(buffers);
  }

  template <class Buffers>
  size_t write_some(const Buffers& buffers, error_code& ec) {
    ec = {};
    return write_some(buffers);
  }

  template <class Buffers>
  size_t write_some(const Buffers& buffers) {
    if (is_output_closed) return asio::buffer_size(buffers);
    const size_t before = output.size();
    for (auto it = asio::buffer_sequence_begin(buffers); it != asio::buffer_sequence_end(buffers); ++it) {
      const asio::const_buffer part(*it);
      output.append(static_cast<const char*>(part.data()), part.size());
    }
    if (on_output) on_output();
    return output.size() - before;
  }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return asio::async_initiate<Token, void(error_code, size_t)>(
        [this](auto handler, const Buffers& to) {
          if (begin_ < end_) {
            const size_t taken = take(to);
            asio::post(get_executor(), asio::append(std::move(handler), error_code(), taken));
            return;
          }
          carrier_.deadline().set(idle_timeout_us);
          carrier_.async_read_some(asio::buffer(input_.get(), kInputBytes),
                                   ReadOp<Buffers, decltype(handler)>{this, to, std::move(handler)});
        },
        token, buffers);
  }

  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return asio::async_initiate<Token, void(error_code, size_t)>(
        [this](auto handler, const Buffers& from) {
          const size_t written = write_some(from);
          asio::post(get_executor(), asio::append(std::move(handler), error_code(), written));
        },
        token, buffers);
  }

  // Beast's way to end the stream underneath. Here its owner does it, once the output is on its way.
  friend void teardown(beast::role_type, WsLayer&, error_code& ec) { ec = {}; }
  template <class Handler>
  friend void async_teardown(beast::role_type, WsLayer& layer, Handler&& handler) {
    asio::post(layer.get_executor(), asio::append(std::forward<Handler>(handler), error_code()));
  }
  friend void beast_close_socket(WsLayer& layer) { layer.carrier_.close(); }

 private:
  template <class Buffers, class Handler>
  struct ReadOp {
    WsLayer* layer;
    Buffers buffers;
    Handler handler;

    using executor_type = asio::associated_executor_t<Handler, WsLayer::executor_type>;
    using allocator_type = asio::associated_allocator_t<Handler>;
    using cancellation_slot_type = asio::associated_cancellation_slot_t<Handler>;
    executor_type get_executor() const noexcept { return asio::get_associated_executor(handler, layer->get_executor()); }
    allocator_type get_allocator() const noexcept { return asio::get_associated_allocator(handler); }
    cancellation_slot_type get_cancellation_slot() const noexcept { return asio::get_associated_cancellation_slot(handler); }

    void operator()(error_code ec, size_t count) {
      size_t taken = 0;
      layer->carrier_.deadline().clear();  // the time that the messages' owner takes does not count
      if (!ec) {
        layer->begin_ = layer->end_ = 0;
        layer->committed(count);
        taken = layer->take(buffers);
      }
      handler(ec, taken);
    }
  };

  void committed(size_t count) {
    ready_messages += counter_.feed({input_.get() + end_, count});
    end_ += count;
    events_.on_bytes(count);
  }

  template <class Buffers>
  size_t take(const Buffers& buffers) {
    const size_t taken = asio::buffer_copy(buffers, asio::const_buffer(input_.get() + begin_, end_ - begin_));
    begin_ += taken;
    return taken;
  }

  Carrier& carrier_;
  WsFrameCounter counter_;
  WsPipeEvents& events_;
  static constexpr size_t kInputBytes = 64 << 10;
  std::unique_ptr<char[]> input_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

template <class Carrier>
class WsReader {
 public:
  using Stream = websocket::stream<WsLayer<Carrier>, /*deflateSupported=*/false>;

  /// As client or server; both outlive the reader. The stream's handshake is its owner's, before read_until_over().
  WsReader(Carrier& carrier, bool is_server, size_t message_bytes_max, WsPipeEvents& events)
      : stream(carrier, WsFrameCounter(/*skip_http_head=*/!is_server), events), carrier_(carrier), events_(events) {
    stream.read_message_max(message_bytes_max);
    stream.auto_fragment(false);
    stream.control_callback([this](websocket::frame_type kind, beast::string_view payload) {
      if (kind == websocket::frame_type::ping) events_.on_ping({payload.data(), payload.size()});
      if (kind == websocket::frame_type::pong) events_.on_pong({payload.data(), payload.size()});
    });
  }
  WsReader(const WsReader&) = delete;
  WsReader& operator=(const WsReader&) = delete;

  WsLayer<Carrier>& layer() { return stream.next_layer(); }

  /// Hands each message to the events until the stream has ended, which always is with an error: websocket::error::closed where in order.
  Task<error_code> read_until_over() {
    error_code ec;
    while (!ec) {
      co_await stream.async_read(message_, into(ec));
      if (!ec) deliver();
      // Further whole messages are there for the taking.
      while (!ec && layer().ready_messages > 0 && !carrier_.is_closed()) read_now(ec);
    }
    co_return ec;
  }

  /// Hands over the next message, all of which is in the layer; would_block where it is not, and the stream has ended then.
  void read_now(error_code& ec) {
    stream.read(message_, ec);
    if (!ec) deliver();
  }

  Stream stream;

 private:
  void deliver() {
    const auto bytes = message_.cdata();
    if (layer().ready_messages > 0) --layer().ready_messages;
    events_.on_message({static_cast<const char*>(bytes.data()), bytes.size()}, stream.got_text());
    message_.clear();
  }

  Carrier& carrier_;
  WsPipeEvents& events_;
  beast::flat_buffer message_;
};

}  // namespace k2::net
