#include "query/format.h"

#include <arrow/api.h>
#include <arrow/io/interfaces.h>
#include <arrow/ipc/writer.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "query/cell_text.h"

namespace k2 {
namespace {

constexpr size_t kFlushBytes = 64 << 10;

struct FormatNames {
  Format format;
  std::string_view name;
  std::string_view media_type;
};
constexpr FormatNames kFormats[] = {
    {Format::kJson, "json", "application/json"},
    {Format::kNdjson, "ndjson", "application/x-ndjson"},
    {Format::kCsv, "csv", "text/csv; charset=utf-8"},
    {Format::kTable, "table", "text/plain; charset=utf-8"},
    {Format::kArrow, "arrow", "application/vnd.apache.arrow.stream"},
    {Format::kParquet, "parquet", "application/vnd.apache.parquet"},
};

const FormatNames& names_of(Format format) {
  return *std::find_if(std::begin(kFormats), std::end(kFormats), [&](const FormatNames& names) { return names.format == format; });
}

// Text on its way to the sink.
class Output {
 public:
  explicit Output(const Sink& sink) : sink_(sink) {}
  std::string& text() { return text_; }
  Status flush_if_large() { return text_.size() >= kFlushBytes ? flush() : Status{}; }
  Status flush() {
    if (text_.empty()) return {};
    Status status = sink_(text_);
    text_.clear();
    return status;
  }

 private:
  const Sink& sink_;
  std::string text_;
};

// Calls `write_row(batch_cells, row)` for every row and lets the output go on its way.
template <class WriteRow>
Result<int64_t> for_each_row(QueryResult& result, const FormatOptions& options, Output& output, WriteRow write_row) {
  int64_t rows = 0;
  while (true) {
    K2_TRY(const auto batch, result.next());
    if (!batch) break;
    const CellTexts cells(*batch, options.integer_times);
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      write_row(cells, row);
      K2_RETURN_IF_ERROR(output.flush_if_large());
    }
    rows += batch->num_rows();
  }
  return rows;
}

Result<int64_t> write_json(QueryResult& result, const FormatOptions& options, const Sink& sink, bool lines) {
  Output output(sink);
  bool first = true;
  K2_TRY(const int64_t rows, for_each_row(result, options, output, [&](const CellTexts& cells, int64_t row) {
           std::string& text = output.text();
           if (!lines) text += first ? "[" : ",\n";
           first = false;
           cells.append_json_object(row, text);
           if (lines) text += '\n';
         }));
  if (!lines) output.text() += first ? "[]\n" : "]\n";
  K2_RETURN_IF_ERROR(output.flush());
  return rows;
}

void append_csv_field(std::string_view field, std::string& text) {
  if (!field.empty() && field.find_first_of(",\"\r\n") == std::string_view::npos) {
    text += field;
    return;
  }
  text += '"';
  for (const char letter : field) {
    if (letter == '"') text += '"';
    text += letter;
  }
  text += '"';
}

Result<int64_t> write_csv(QueryResult& result, const FormatOptions& options, const Sink& sink) {
  Output output(sink);
  const int columns = result.schema()->num_fields();
  for (int i = 0; i < columns && options.header; ++i) {
    if (i > 0) output.text() += ',';
    append_csv_field(result.schema()->field(i)->name(), output.text());
  }
  if (options.header) output.text() += '\n';
  std::string field;
  K2_TRY(const int64_t rows, for_each_row(result, options, output, [&](const CellTexts& cells, int64_t row) {
           std::string& text = output.text();
           for (int i = 0; i < columns; ++i) {
             if (i > 0) text += ',';
             field.clear();
             if (cells.append_plain(i, row, field)) append_csv_field(field, text);
           }
           text += '\n';
         }));
  K2_RETURN_IF_ERROR(output.flush());
  return rows;
}

// --- table ------------------------------------------------------------------------------------------------------------

// Columns of a terminal that UTF-8 text takes: its code points. Wide and combining letters are off by one, which only shifts a line.
size_t display_width(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char letter) { return (static_cast<uint8_t>(letter) & 0xC0) != 0x80; }));
}

// Control characters would move the cursor.
void make_printable(std::string& text) {
  for (char& letter : text)
    if (static_cast<uint8_t>(letter) < 0x20 || letter == 0x7f) letter = ' ';
}

// Cuts what is wider than `width`, which 0 leaves open, between two letters of UTF-8.
void clip(std::string& text, int64_t width) {
  if (width <= 0 || display_width(text) <= static_cast<size_t>(width)) return;
  size_t bytes = 0;
  for (int64_t letters = 0; bytes < text.size(); ++bytes)
    if ((static_cast<uint8_t>(text[bytes]) & 0xC0) != 0x80 && letters++ == width - 1) break;
  text.resize(bytes);
  text += "…";
}

class TextTable {
 public:
  TextTable(const arrow::Schema& schema, Output& output, const FormatOptions& options)
      : output_(output), header_(options.header), cell_max_(options.table_cell_max) {
    for (const auto& field : schema.fields()) {
      names_.push_back(field->name());
      make_printable(names_.back());
      const arrow::Type::type type = field->type()->id();
      right_.push_back(arrow::is_numeric(type) || arrow::is_decimal(type));
      widths_.push_back(header_ ? display_width(names_.back()) : 0);
    }
  }

  void add(const CellTexts& cells, int64_t row, int64_t width_rows) {
    std::vector<std::string> line(names_.size());
    for (size_t i = 0; i < line.size(); ++i) {
      if (!cells.append_plain(static_cast<int>(i), row, line[i])) line[i] = "-";
      make_printable(line[i]);
      clip(line[i], cell_max_);
    }
    if (started_) return print(line);
    for (size_t i = 0; i < line.size(); ++i) widths_[i] = std::max(widths_[i], display_width(line[i]));
    waiting_.push_back(std::move(line));
    if (static_cast<int64_t>(waiting_.size()) >= width_rows) start();
  }

  void start() {
    if (started_) return;
    started_ = true;
    if (header_) print(names_);
    for (const auto& line : waiting_) print(line);
    waiting_.clear();
  }

 private:
  void print(const std::vector<std::string>& line) {
    std::string& text = output_.text();
    for (size_t i = 0; i < line.size(); ++i) {
      const size_t width = display_width(line[i]);
      const std::string space(widths_[i] > width ? widths_[i] - width : 0, ' ');
      if (i > 0) text += "  ";
      if (right_[i]) text += space;
      text += line[i];
      if (!right_[i] && i + 1 < line.size()) text += space;
    }
    text += '\n';
  }

  Output& output_;
  const bool header_;
  const int64_t cell_max_;
  std::vector<std::string> names_;
  std::vector<bool> right_;
  std::vector<size_t> widths_;
  std::vector<std::vector<std::string>> waiting_;
  bool started_ = false;
};

Result<int64_t> write_table(QueryResult& result, const FormatOptions& options, const Sink& sink) {
  Output output(sink);
  TextTable table(*result.schema(), output, options);
  K2_TRY(const int64_t rows, for_each_row(result, options, output,
                                          [&](const CellTexts& cells, int64_t row) { table.add(cells, row, options.table_width_rows); }));
  table.start();
  K2_RETURN_IF_ERROR(output.flush());
  return rows;
}

// --- arrow and parquet ------------------------------------------------------------------------------------------------

// The sink as a stream of Arrow's. Remembers the sink's own error, of which Arrow keeps only the text.
class SinkStream final : public arrow::io::OutputStream {
 public:
  explicit SinkStream(const Sink& sink) : output_(sink) {}
  arrow::Status Close() override {
    closed_ = true;
    return passed_on(output_.flush());
  }
  [[nodiscard]] bool closed() const override { return closed_; }
  [[nodiscard]] arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Status Write(const void* data, int64_t size) override {
    output_.text().append(static_cast<const char*>(data), static_cast<size_t>(size));
    position_ += size;
    return passed_on(output_.flush_if_large());
  }
  using arrow::io::OutputStream::Write;

  Status status_of(const arrow::Status& status, std::string_view what) {
    if (error_) return std::unexpected(*error_);
    if (status.ok()) return {};
    return make_error(status.IsOutOfMemory() ? ErrorKind::kUnavailable : ErrorKind::kInvalidInput,
                      std::string(what) + ": " + status.ToString());
  }

 private:
  arrow::Status passed_on(const Status& status) {
    if (status) return arrow::Status::OK();
    error_ = status.error();
    return arrow::Status::IOError(error_->message);
  }

  Output output_;
  int64_t position_ = 0;
  bool closed_ = false;
  std::optional<Error> error_;
};

// Writes every batch with `writer` (an Arrow IPC or Parquet writer) and closes both.
template <class Writer>
Result<int64_t> write_batches(QueryResult& result, Writer& writer, SinkStream& stream, std::string_view what) {
  int64_t rows = 0;
  while (true) {
    K2_TRY(const auto batch, result.next());
    if (!batch) break;
    K2_RETURN_IF_ERROR(stream.status_of(writer.WriteRecordBatch(*batch), what));
    rows += batch->num_rows();
  }
  K2_RETURN_IF_ERROR(stream.status_of(writer.Close(), what));
  K2_RETURN_IF_ERROR(stream.status_of(stream.Close(), what));
  return rows;
}

Result<int64_t> write_arrow(QueryResult& result, const Sink& sink) {
  const auto stream = std::make_shared<SinkStream>(sink);
  auto writer = arrow::ipc::MakeStreamWriter(stream, result.schema());
  K2_RETURN_IF_ERROR(stream->status_of(writer.status(), "arrow output"));
  return write_batches(result, **writer, *stream, "arrow output");
}

Result<int64_t> write_parquet(QueryResult& result, const Sink& sink) {
  const auto stream = std::make_shared<SinkStream>(sink);
  const auto properties = parquet::WriterProperties::Builder().compression(parquet::Compression::ZSTD)->build();
  auto writer = parquet::arrow::FileWriter::Open(*result.schema(), arrow::default_memory_pool(), stream, properties);
  K2_RETURN_IF_ERROR(stream->status_of(writer.status(), "parquet output"));
  return write_batches(result, **writer, *stream, "parquet output");
}

}  // namespace

std::string_view format_name(Format format) { return names_of(format).name; }
std::string_view media_type(Format format) { return names_of(format).media_type; }

Result<Format> parse_format(std::string_view name) {
  std::string allowed;
  for (const FormatNames& names : kFormats) {
    if (names.name == name) return names.format;
    allowed += (allowed.empty() ? "" : ", ") + std::string(names.name);
  }
  return make_error(ErrorKind::kInvalidInput, "format \"" + std::string(name) + "\" is none of " + allowed);
}

Result<int64_t> write(QueryResult& result, Format format, const FormatOptions& options, const Sink& sink) {
  switch (format) {
    case Format::kJson: return write_json(result, options, sink, /*lines=*/false);
    case Format::kNdjson: return write_json(result, options, sink, /*lines=*/true);
    case Format::kCsv: return write_csv(result, options, sink);
    case Format::kTable: return write_table(result, options, sink);
    case Format::kArrow: return write_arrow(result, sink);
    case Format::kParquet: return write_parquet(result, sink);
  }
  return make_error(ErrorKind::kInvalidInput, "no such format");
}

}  // namespace k2
