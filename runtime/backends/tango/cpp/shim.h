// The C interface between Rust and libtango. Every pointer that is handed out is borrowed for the length of the call it
// is handed to. No exception leaves a function of this interface.
#pragma once
#include <cstddef>
#include <cstdint>

extern "C" {

// How a request ended.
enum TangoOutcome { TANGO_DONE = 0, TANGO_REFUSED = 1, TANGO_ABSENT = 2, TANGO_TIMED_OUT = 3, TANGO_NO_EVENTS = 4 };

// What was read, or why not: then only outcome and text are set.
struct TangoSample {
    int32_t outcome;
    const char *text;
    int32_t type;    // CmdArgType of libtango
    int32_t format;  // 0 scalar, 1 spectrum, 2 image
    int32_t quality; // AttrQuality of libtango
    int64_t time;    // nanoseconds since 1970
    size_t width;
    size_t height;
    const double *numbers;
    size_t number_count;
    const char *const *texts;
    size_t text_count;
};

// A value to be written. The caller has looked at the type and range.
struct TangoValue {
    const char *name;
    int32_t type;
    int32_t format;
    size_t width;
    size_t height;
    const double *numbers;
    size_t number_count;
    const char *const *texts;
    size_t text_count;
};

// What a device says of an attribute (or of a command: then `type` is what it returns and `input` what it takes).
struct TangoInfo {
    const char *name;
    const char *unit;
    const char *description;
    const char *lowest;
    const char *highest;
    int32_t type;
    int32_t input;
    int32_t format;
    int32_t writable;
    size_t width;
    size_t height;
    const char *const *labels;
    size_t label_count;
};

using TangoSampleSink = void (*)(void *context, size_t place, const TangoSample *sample);
using TangoInfoSink = void (*)(void *context, const TangoInfo *info);
using TangoAnswerSink = void (*)(void *context, size_t place, int32_t outcome, const char *text);
using TangoEventSink = void (*)(uint64_t id, const TangoSample *sample);

struct TangoDevice;

// The proxy of a device, or none; then the answer has been called with place 0.
TangoDevice *tango_device_open(const char *name, void *context, TangoAnswerSink answer);
void tango_device_close(TangoDevice *device);
void tango_device_timeout(TangoDevice *device, int32_t milliseconds);

// `direct` asks the hardware where the device server would answer from its polling buffer.
void tango_device_read(TangoDevice *device, const char *const *names, size_t count, bool direct, void *context,
                       TangoSampleSink sink);
void tango_device_write(TangoDevice *device, const TangoValue *values, size_t count, void *context,
                        TangoAnswerSink answer);
// The attributes of a device; the answer tells how it ended.
void tango_device_attributes(TangoDevice *device, void *context, TangoInfoSink sink, TangoAnswerSink answer);
void tango_device_commands(TangoDevice *device, void *context, TangoInfoSink sink, TangoAnswerSink answer);
// Runs a command; no argument is a null pointer.
void tango_device_command(TangoDevice *device, const char *name, const TangoValue *argument, void *context,
                          TangoSampleSink sink);
void tango_device_property(TangoDevice *device, const char *name, void *context, TangoSampleSink sink);

// Follows an attribute by change events; 0 if that cannot be, and the answer has been called.
struct TangoSubscription;
TangoSubscription *tango_subscribe(TangoDevice *device, const char *attribute, uint64_t id, TangoEventSink sink,
                                   void *context, TangoAnswerSink answer);
void tango_unsubscribe(TangoDevice *device, TangoSubscription *subscription);

// The server. An attribute of a device; all of one device stand together.
struct TangoServed {
    const char *device;
    const char *attribute;
    const char *label;
    const char *unit;
    const char *format;
    const char *lowest;
    const char *highest;
    const char *warning_low;
    const char *warning_high;
    const char *alarm_low;
    const char *alarm_high;
    const char *description;
    size_t length; // 1 for a single number, of an image that of a row
    size_t height; // rows of an image; 0 for what is none
    bool spectrum;
    bool writable;
};

// What an attribute holds.
struct TangoHeld {
    const double *numbers;
    size_t number_count;
    int32_t quality;
    int64_t time;
};

// Gives what an attribute holds to `sink` while the call lasts.
using TangoHeldSink = void (*)(void *context, const TangoHeld *held);
using TangoServedRead = void (*)(size_t place, void *context, TangoHeldSink sink);
// Writes; the text why not is handed to `refuse` while the call lasts.
using TangoRefuse = void (*)(void *context, const char *text);
using TangoServedWrite = void (*)(size_t place, const double *values, size_t count, void *context, TangoRefuse refuse);


// Serves until the process ends; returns only when it could not, and has called the answer.
// `instance` is that of the device server in the database of TANGO_HOST, where its devices are entered while it serves; empty
// serves without database.
void tango_serve(const TangoServed *served, size_t count, const char *endpoint, const char *instance, TangoServedRead read,
                 TangoServedWrite write, void (*ready)(), void *context, TangoAnswerSink answer);
// Sends a change event; waits for the device's lock.
void tango_serve_event(size_t place, const TangoHeld *held);
// Ends the process at once, without what libtango does at its end.
void tango_exit(int code);
}
