// Go: goroutines, channels and a mutex, on one thread like every other subject.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const messages = 5000000
const lookups = 100000

// Processor time of this process: the garbage collector's threads count too.
func cpuNs() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		fail(err.Error())
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}

func value(begin int64, n int) {
	fmt.Printf("value time %.6g\n", float64(cpuNs()-begin)/float64(n))
}

// Two goroutines that play the same part. Size 0 is Go's unbuffered channel, where a sender waits for its receiver.
func play(in, out chan int, serves bool, done chan bool) {
	message := -1
	for i := 0; i < messages/2; i++ {
		if i > 0 || !serves {
			message = <-in
		}
		out <- message + 1
	}
	done <- true
}

func queuePingpong(size int) {
	there, back, done := make(chan int, size), make(chan int, size), make(chan bool)
	begin := cpuNs()
	go play(back, there, true, done)
	go play(there, back, false, done)
	<-done
	if <-back != messages-1 {
		fail("a message is lost")
	}
	<-done
	value(begin, messages)
}

func queueStream(size int) {
	there := make(chan int, size)
	go func() {
		for i := 0; i < messages; i++ {
			there <- i
		}
	}()
	begin := cpuNs()
	for i := 0; i < messages; i++ {
		if <-there != i {
			fail("a message is lost")
		}
	}
	value(begin, messages)
}

func queueNowait(size int) {
	there := make(chan int, size)
	begin := cpuNs()
	for i := 0; i < 4*messages; i++ {
		there <- i
		if <-there != i {
			fail("a message is lost")
		}
	}
	value(begin, 4*messages)
}

func lockUncontended(int) {
	var lock sync.Mutex
	begin := cpuNs()
	for i := 0; i < 10*messages; i++ {
		lock.Lock()
		lock.Unlock()
	}
	value(begin, 10*messages)
}

// As many goroutines that give each other their turn.
func hop(tasks int) {
	steps := 20000000 / tasks
	var all sync.WaitGroup
	all.Add(tasks)
	begin := cpuNs()
	for i := 0; i < tasks; i++ {
		go func() {
			for j := 0; j < steps; j++ {
				runtime.Gosched()
			}
			all.Done()
		}()
	}
	all.Wait()
	value(begin, steps*tasks)
}

func lookUp(host string, n int) {
	for i := 0; i < n; i++ {
		if found, err := net.DefaultResolver.LookupIP(context.Background(), "ip4", host); err != nil || len(found) == 0 {
			fail("a lookup failed")
		}
	}
}

func lookupNumber(int) {
	begin := cpuNs()
	lookUp("127.0.0.1", lookups)
	value(begin, lookups)
}

func lookupName(atOnce int) {
	var all sync.WaitGroup
	all.Add(atOnce)
	wall, begin := time.Now(), cpuNs()
	for i := 0; i < atOnce; i++ {
		go func() {
			lookUp("localhost", lookups/atOnce)
			all.Done()
		}()
	}
	all.Wait()
	fmt.Printf("value time %.6g\nvalue cpu %.6g\n", float64(time.Since(wall).Nanoseconds())/lookups, float64(cpuNs()-begin)/lookups)
}

func serveFiles(directory string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err.Error())
	}
	fmt.Printf("port %d\n", listener.Addr().(*net.TCPAddr).Port)
	fail(http.Serve(listener, http.FileServer(http.Dir(directory))).Error())
}

func mustNot(err error) {
	if err != nil {
		fail(err.Error())
	}
}

// The echo server over TLS, a goroutine for each connection.
func echoTLS(int) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	mustNot(err)
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	mustNot(err)
	config := tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &config)
	mustNot(err)
	fmt.Printf("port %d\n", listener.Addr().(*net.TCPAddr).Port)
	for {
		c, err := listener.Accept()
		mustNot(err)
		go func() {
			defer c.Close()
			buffer := make([]byte, 16384)
			for {
				n, err := c.Read(buffer)
				if err != nil {
					return
				}
				if _, err := c.Write(buffer[:n]); err != nil {
					return
				}
			}
		}()
	}
}

// Every so many'th datagram goes back.
func answerUDP(each int) {
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	mustNot(err)
	mustNot(socket.SetReadBuffer(4 << 20))
	fmt.Println("port", socket.LocalAddr().(*net.UDPAddr).Port)
	buffer := make([]byte, 65536)
	for i := 1; ; i++ {
		n, from, err := socket.ReadFromUDPAddrPort(buffer)
		mustNot(err)
		if i%each == 0 {
			_, err = socket.WriteToUDPAddrPort(buffer[:n], from)
			mustNot(err)
		}
	}
}

func main() {
	modes := map[string]func(int){
		"queue":         queuePingpong,
		"queue-stream":  queueStream,
		"queue-nowait":  queueNowait,
		"lock":          lockUncontended,
		"switch":        hop,
		"lookup-number": lookupNumber,
		"lookup-name":   lookupName,
		"echo-tls":      echoTLS,
		"echo-udp":      func(int) { answerUDP(1) },
		"sink-udp":      func(int) { answerUDP(64) },
	}
	runtime.GOMAXPROCS(1)
	if len(os.Args) == 3 && os.Args[1] == "http" {
		serveFiles(os.Args[2])
	}
	if len(os.Args) > 1 {
		if run, known := modes[os.Args[1]]; known {
			n := 0
			if len(os.Args) > 2 {
				n, _ = strconv.Atoi(os.Args[2])
			}
			run(n)
			return
		}
	}
	fmt.Fprintln(os.Stderr, "no such mode")
	os.Exit(2)
}
