package tenon_test
import ("testing";"context";"time";"fmt";"github.com/tenon-go/tenon";"os")
func TestZZ(t *testing.T){
 path:=os.Getenv("ZZ"); if path==""{t.Skip()}
 t0:=time.Now()
 m,err:=tenon.Open(path); if err!=nil{t.Fatal(err)}
 fmt.Println("open",time.Since(t0))
 var st tenon.Stats
 for _,err:=range m.Generate(context.Background(),"Once upon a time there was a thing that one did like a lot of the other things",tenon.GenerateOptions{MaxTokens:32,IgnoreEOS:true,Stats:&st}){ if err!=nil{t.Fatal(err)} }
 fmt.Printf("prompt %d %.2f t/s gen %d %.2f t/s\n",st.PromptTokens,float64(st.PromptTokens)/st.Prompt.Seconds(),st.Tokens,float64(st.Tokens)/st.Generate.Seconds())
}
